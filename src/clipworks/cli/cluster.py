"""`clipworks cluster`: a folder in groups of alike pictures, named with words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipworks.cli.folder_model import FolderModel
from clipworks.cli.options import Backend, Device, EmbeddingFolder, Json, Precision, Threads

if TYPE_CHECKING:
    from clipworks.cli.model_option import RunOptions
    from clipworks.search.clusters import Clusters
    from clipworks.search.folder_vectors import FolderVectors

Count = Annotated[
    int,
    typer.Option("--clusters", "-n", min=1, envvar="CLIPWORKS_CLUSTERS", help="How many groups."),
]
NameBy = Annotated[
    str,
    typer.Option("--names", help="Name groups by the model's everyday words, or by captions."),
]
Seed = Annotated[int, typer.Option(min=0, help="The same one gives the same groups.")]
Html = Annotated[
    Path | None, typer.Option(help="Write the groups as a page to this file.", show_default=False)
]

_EXAMPLES_SHOWN = 4


def cluster(
    folder: EmbeddingFolder,
    count: Count = 20,
    names: NameBy = "words",
    seed: Seed = 0,
    html: Html = None,
    model: FolderModel = None,
    backend: Backend = "auto",
    device: Device = "cpu",
    precision: Precision = None,
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Group a folder's pictures by what they show, and name each group."""
    from clipworks.cli.console import print_json, result_console
    from clipworks.cli.model_option import RunOptions
    from clipworks.search.folder_vectors import open_vectors

    vectors = open_vectors(folder)
    clusters = find_with_bar(vectors, count, seed=seed)
    how = RunOptions(backend, device, precision, threads)
    named = find_names(folder, vectors, clusters, by=names, model=model, how=how)
    if json:
        print_json(_as_json(vectors, clusters, named))
    else:
        result_console().print(_table(vectors, clusters, named))
    if html:
        from clipworks.cli.group_page import write_group_page

        groups = [
            (f"{', '.join(words)} · {size}", rows)
            for words, size, rows in zip(
                named, clusters.sizes, clusters.representatives, strict=True
            )
        ]
        subtitle = f"{len(vectors.ids)} pictures of {folder} in {len(clusters.sizes)} groups"
        write_group_page(
            html, vectors, groups, title="Groups", subtitle=subtitle, centres=clusters.centres
        )


def find_with_bar(vectors: FolderVectors, count: int, *, seed: int) -> Clusters:
    """Find the clusters, and show how far the work is."""
    from clipworks.cli.console import stage_watcher
    from clipworks.search.clusters import find_clusters

    with stage_watcher() as watch:
        return find_clusters(
            vectors, count, seed=seed, report=lambda done, total: watch("grouping", done, total)
        )


def find_names(
    folder: Path,
    vectors: FolderVectors,
    clusters: Clusters,
    *,
    by: str,
    model: str | None,
    how: RunOptions,
) -> list[list[str]]:
    """Name clusters by the everyday words of the folder's model, or by captions.

    Raises:
        SettingsError: neither of these, or the folder has no captions.
        ClipworksError: the model cannot be loaded, or is not the folder's.
    """
    from clipworks.cli.folder_model import load_folder_model
    from clipworks.errors import SettingsError
    from clipworks.search.clusters import name_by_captions, name_clusters
    from clipworks.search.relevance import embedded_words, everyday_words
    from clipworks.search.searcher import check_dim, fit_model

    if by == "captions":
        captions = read_captions(vectors)
        if not any(captions):
            raise SettingsError(f"{folder} has no captions: name groups by words")
        return name_by_captions(clusters.labels, captions, len(clusters.sizes))
    if by != "words":
        raise SettingsError(f"--names {by!r}: expected words or captions")
    embedder = fit_model(folder, load_folder_model(folder, model, how))
    check_dim(folder, vectors.embedding_dim, embedder)
    return name_clusters(clusters.centres, everyday_words(), embedded_words(embedder))


def read_captions(vectors: FolderVectors) -> list[str | None]:
    """All captions; None for each where the folder has no such column."""
    from clipworks.data.embedding_folder import CAPTION_COLUMN

    if CAPTION_COLUMN not in vectors.metadata.columns:
        return [None] * vectors.size
    tables = vectors.metadata.tables([CAPTION_COLUMN])
    return [caption for _, table in tables for caption in table.column(0).to_pylist()]


def _as_json(
    vectors: FolderVectors, clusters: Clusters, named: list[list[str]]
) -> list[dict[str, Any]]:
    from clipworks.search.hits import sample_names

    groups = []
    for label, (words, size) in enumerate(zip(named, clusters.sizes, strict=True)):
        rows = clusters.representatives[label]
        records = vectors.metadata.rows(rows)
        members = (clusters.labels == label).nonzero()[0]
        groups.append(
            {
                "names": words,
                "size": size,
                "representatives": [
                    {"id": row, "image_path": sample_names(record)[0]}
                    for row, record in zip(rows, records, strict=True)
                ],
                "ids": members.tolist(),
            }
        )
    return groups


def _table(vectors: FolderVectors, clusters: Clusters, named: list[list[str]]) -> Any:  # noqa: ANN401
    from rich.table import Table
    from rich.text import Text

    from clipworks.data.addresses import short_name
    from clipworks.search.hits import sample_names

    table = Table(box=None, header_style="bold")
    table.add_column("pictures", justify="right")
    table.add_column("named", overflow="fold")
    table.add_column("for example", overflow="fold")
    for words, size, rows in zip(named, clusters.sizes, clusters.representatives, strict=True):
        examples = []
        for record in vectors.metadata.rows(rows[:_EXAMPLES_SHOWN]):
            path, caption = sample_names(record)
            examples.append(caption or short_name(path or ""))
        table.add_row(str(size), Text(", ".join(words)), Text(", ".join(examples), style="dim"))
    return table
