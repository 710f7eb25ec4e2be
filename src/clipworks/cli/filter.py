"""`clipworks filter`: the paths of all pictures that meet some conditions, or a copy of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipworks.cli.copy_options import CopyTo, Link
from clipworks.cli.folder_model import FolderModel
from clipworks.cli.options import Backend, Device, EmbeddingFolder, Json, Precision, Threads
from clipworks.cli.search_filters import (
    Dedup,
    DedupThreshold,
    Expressions,
    Heads,
    ModalityOption,
    Pictures,
    Relevant,
    Where,
)
from clipworks.errors import SettingsError

if TYPE_CHECKING:
    from clipworks.cli.model_option import RunOptions
    from clipworks.search.folder_scan import Conditions, Matching
    from clipworks.search.folder_vectors import FolderVectors
    from clipworks.search.query import Query
    from clipworks.search.searcher import Searcher

Words = Annotated[
    list[str] | None, typer.Argument(help="What to look for, one text.", show_default=False)
]
Threshold = Annotated[
    float | None,
    typer.Option(help="The least cosine with the query.", show_default=False),
]
Limit = Annotated[int, typer.Option(min=0, help="At most so many, the best; 0 for all.")]
NullSeparated = Annotated[
    bool, typer.Option("-0", "--null", help="End paths with a null byte, for xargs -0.")
]


def filter(
    folder: EmbeddingFolder,
    words: Words = None,
    expressions: Expressions = None,
    images: Pictures = None,
    threshold: Threshold = None,
    relevant: Relevant = False,
    where: Where = "",
    heads: Heads = None,
    dedup: Dedup = False,
    dedup_threshold: DedupThreshold = 0.94,
    limit: Limit = 0,
    modality: ModalityOption = "image",
    copy_to: CopyTo = None,
    link: Link = "copy",
    null: NullSeparated = False,
    model: FolderModel = None,
    backend: Backend = "auto",
    device: Device = "cpu",
    precision: Precision = None,
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Print the paths of all pictures that a query, a condition or a head chooses."""
    from clipworks.cli.copy_options import check_link, copy_rows
    from clipworks.cli.model_option import RunOptions
    from clipworks.cli.search_filters import check_modality, make_queries, read_heads
    from clipworks.search.folder_scan import Conditions
    from clipworks.search.folder_vectors import open_vectors
    from clipworks.search.metadata_filter import allowed_rows

    link_kind = check_link(link)
    queries = make_queries(words, expressions, images)
    _check_query(queries, threshold, relevant=relevant)
    limits = read_heads(heads)
    if not (queries or where or limits or dedup):
        raise SettingsError("nothing to filter by: give a query, --where, --head or --dedup")
    vectors = open_vectors(folder, check_modality(modality))
    _check_heads(folder, vectors, limits)
    conditions = Conditions(
        allowed=allowed_rows(vectors.metadata, where) if where else None,
        min_similarity=-1.0 if threshold is None else threshold,
        heads=limits,
    )
    if queries:
        searcher = _open_searcher(
            folder, model, RunOptions(backend, device, precision, threads), modality
        )
        conditions = _with_query(conditions, searcher, queries[0], relevant=relevant)
    matching = _scan(vectors, conditions, dedup_threshold if dedup else None)
    if limit:
        matching = matching.keep(slice(limit))  # pyright: ignore[reportArgumentType]
    if copy_to:
        figures = {name: values.tolist() for name, values in matching.figures.items()}
        report = copy_rows(vectors, matching.ids.tolist(), copy_to, link=link_kind, figures=figures)
        if report.failed:
            raise typer.Exit(1)
    else:
        _print(vectors, matching, json=json, end="\0" if null else "\n")


def _check_query(queries: list[Query], threshold: float | None, *, relevant: bool) -> None:
    if len(queries) > 1:
        raise SettingsError(
            f"got {len(queries)} queries, expected one: --query adds texts and pictures up"
        )
    if queries and threshold is None and not relevant:
        raise SettingsError(
            "every picture fits a query a little: say how well with --threshold 0.3, or give "
            "--relevant"
        )
    if not queries and (threshold is not None or relevant):
        raise SettingsError("--threshold and --relevant go with a query: give words")


def _check_heads(folder: Path, vectors: FolderVectors, limits: Any) -> None:  # noqa: ANN401
    from clipworks.search.searcher import recorded_model

    made_by = recorded_model(folder)
    for limit in limits:
        limit.head.check_takes(
            vectors.embedding_dim,
            model=made_by.name if made_by else "",
            fingerprint=made_by.fingerprint if made_by else "",
        )


def _open_searcher(folder: Path, model: str | None, how: RunOptions, modality: str) -> Searcher:
    from clipworks.cli.folder_model import load_folder_model
    from clipworks.cli.search_filters import check_modality
    from clipworks.search.searcher import Searcher

    embedder = load_folder_model(folder, model, how)
    return Searcher.open(folder, embedder, modality=check_modality(modality))


def _with_query(
    conditions: Conditions, searcher: Searcher, query: Query, *, relevant: bool
) -> Conditions:
    from dataclasses import replace

    from clipworks.cli.search_filters import say_words_are_embedded

    vector = query.embed(searcher.embedder)
    if not relevant:
        return replace(conditions, query=vector)
    if not searcher.can_judge(query):
        raise SettingsError(
            "relevance can be judged for texts that look for pictures in a folder of 30 and "
            "more, not here: give --threshold instead"
        )
    say_words_are_embedded(searcher.embedder)
    return replace(
        conditions, query=vector, judge=lambda rows: searcher.relevance.judge(vector, rows)
    )


def _scan(vectors: FolderVectors, conditions: Conditions, dedup: float | None) -> Matching:
    import numpy as np

    from clipworks.cli.console import stage_watcher
    from clipworks.search.duplicate_groups import find_near_duplicates
    from clipworks.search.folder_scan import scan_folder

    with stage_watcher() as watch:
        matching = scan_folder(
            vectors, conditions, lambda done, total: watch("comparing", done, total)
        )
        if dedup is None:
            return matching
        groups = find_near_duplicates(
            vectors,
            dedup,
            ids=matching.ids,
            report=lambda done, total: watch("duplicates", done, total),
        )
    place_of = {int(row): place for place, row in enumerate(matching.ids)}
    keep = np.ones(len(matching.ids), np.bool_)
    for group in groups:  # of each group the best stays
        places = sorted(place_of[row] for row in group)
        keep[places[1:]] = False
    return matching.keep(keep)


def _print(vectors: FolderVectors, matching: Matching, *, json: bool, end: str) -> None:
    from clipworks.cli.console import print_json
    from clipworks.search.hits import plain_json, sample_names

    records = vectors.metadata.rows(matching.ids)
    if not json:
        paths = [sample_names(record)[0] or "" for record in records]
        sys.stdout.write("".join(f"{path}{end}" for path in paths))
        return
    found = []
    for place, (row, record) in enumerate(zip(matching.ids, records, strict=True)):
        path, caption = sample_names(record)
        figures = {name: round(float(v[place]), 6) for name, v in matching.figures.items()}
        found.append(
            {
                "id": int(row),
                "image_path": path,
                "caption": caption,
                **figures,
                "metadata": plain_json(record),
            }
        )
    print_json(found)
