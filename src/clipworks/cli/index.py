"""`clipworks index`: an embedding folder to an index that answers fast."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipworks.cli.options import EmbeddingFolder, Json
from clipworks.errors import ClipworksError, InputError, SettingsError

if TYPE_CHECKING:
    from rich.console import Group

    from clipworks.arrays import Embeddings
    from clipworks.search.index_card import IndexCard
    from clipworks.search.index_settings import IndexSettings

Kind = Annotated[
    str | None,
    typer.Option(
        envvar="CLIPWORKS_INDEX_KIND",
        help="flat (exact), hnsw, ivf-fast, ivf-sq8, ivf-pq or auto, the default.",
        show_default=False,
    ),
]
Recall = Annotated[
    float | None,
    typer.Option(
        envvar="CLIPWORKS_RECALL",
        help="Share of the ten nearest rows that is to be found; 0.95 by default.",
        show_default=False,
    ),
]
Queries = Annotated[
    str | None,
    typer.Option(
        envvar="CLIPWORKS_INDEX_QUERIES",
        help="What will be asked: both, the default, or image or text alone, which is then "
        "answered sooner.",
        show_default=False,
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        envvar="CLIPWORKS_MEMORY",
        help="What building and answering may take, such as 6GB; by default half of the machine's.",
        show_default=False,
    ),
]
IndexBackend = Annotated[
    str | None,
    typer.Option(
        envvar="CLIPWORKS_INDEX_BACKEND",
        help="faiss, the default, milvus (on a server), or exact.",
        show_default=False,
    ),
]


Server = Annotated[
    str | None,
    typer.Option(
        envvar="CLIPWORKS_INDEX_SERVER",
        help="Where the rows go with milvus: http://host:19530, or a file for Milvus Lite.",
        show_default=False,
    ),
]
Add = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Take in the samples of another embedding folder of the same model.",
        show_default=False,
    ),
]
Delete = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Delete samples: a file (or - for stdin) with an id or a picture's path a line.",
        show_default=False,
    ),
]
Compact = Annotated[
    bool, typer.Option("--compact", help="Take deleted samples out of the folder's files.")
]


def index(
    folder: EmbeddingFolder,
    kind: Kind = None,
    recall: Recall = None,
    queries: Queries = None,
    memory: Memory = None,
    backend: IndexBackend = None,
    server: Server = None,
    add: Add = None,
    delete: Delete = None,
    compact: Compact = False,
    json: Json = False,
) -> None:
    """Index an embedding folder, so that searches in it are fast, and measure what it finds.

    Or change it, index and all: add samples, delete some, take the deleted ones out.
    """
    from dataclasses import replace

    from clipworks.cli.console import print_json, result_console, stage_watcher
    from clipworks.search.build import BuildOrder, build_index
    from clipworks.search.folder_changes import add_folder, compact_folder
    from clipworks.search.index_settings import parse_size

    if sum((add is not None, delete is not None, compact)) > 1:
        raise SettingsError("--add, --delete and --compact are three steps: give one at a time")
    if delete is not None:
        _delete(folder, delete, json=json)
        return
    backend, before = _as_before(folder, backend)
    settings = replace(
        before,
        kind=kind or before.kind,
        recall=before.recall if recall is None else recall,
        queries=queries or before.queries,
        memory_bytes=parse_size(memory) if memory else 0,
        server=server or before.server,
    )
    everyday, note = _everyday_texts(folder)
    with stage_watcher() as watch:
        order = BuildOrder(backend, settings, everyday, note, watch)
        if compact:
            gone = compact_folder(folder, order)
            _say_compacted(folder, gone, json=json)
            return
        card = build_index(folder, order) if add is None else add_folder(folder, add, order)
    if json:
        print_json(card.to_json())
    else:
        head = f"{folder}: {card.rows:,} rows of {card.embedding_dim} numbers"
        result_console().print(head, markup=False, soft_wrap=True)
        result_console().print(_measures_table(card))


def _as_before(folder: Path, backend: str | None) -> tuple[str, IndexSettings]:
    """What is not said stays as it was when the folder was indexed last."""
    from clipworks.search.index_card import read_index_card
    from clipworks.search.index_settings import IndexSettings

    card = read_index_card(folder)
    before = next(iter(card.measures.values()), None) if card else None
    if card is None or before is None:
        return backend or "faiss", IndexSettings()
    settings = IndexSettings(
        before.asked_kind, before.target, before.asked_by, server=before.server
    )
    return backend or card.backend, settings


def _delete(folder: Path, source: str, *, json: bool) -> None:
    from dataclasses import asdict

    from clipworks.cli.console import counted, print_json, result_console
    from clipworks.search.folder_changes import delete_rows

    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{source} cannot be read as a list of ids and paths: {error}") from error
    report = delete_rows(folder, text.splitlines())
    if json:
        print_json(asdict(report))
        return
    line = (
        f"{folder}: deleted {counted(report.deleted, 'sample')}; of {report.rows:,} rows "
        f"{report.deleted_in_all:,} can no longer be found (clipworks index {folder} --compact "
        "takes them out of its files)"
    )
    result_console().print(line, markup=False, soft_wrap=True)


def _say_compacted(folder: Path, gone: int, *, json: bool) -> None:
    from clipworks.cli.console import counted, print_json, result_console

    if json:
        print_json({"removed": gone})
    else:
        line = (
            f"{folder}: took out {counted(gone, 'deleted sample')}"
            if gone
            else f"{folder}: nothing was deleted, so that there is nothing to take out"
        )
        result_console().print(line, markup=False, soft_wrap=True)


def _everyday_texts(folder: Path) -> tuple[Embeddings | None, str]:
    """Embed everyday texts where the folder has none and its model is here; else say why not."""
    from clipworks.data.embedding_folder import TEXT_FOLDER
    from clipworks.encoders.computed_precision import find_precision
    from clipworks.encoders.loading import find_installed, load
    from clipworks.search.everyday_queries import everyday_queries
    from clipworks.search.searcher import fit_model, recorded_model

    recorded = recorded_model(folder)
    if (folder / TEXT_FOLDER).is_dir():
        return None, ""
    if not recorded:
        return None, "texts were not measured: the folder does not say which model made it"
    try:
        bundle = find_installed(recorded.name)
        if bundle is None:
            return None, f"texts were not measured: {recorded.name} is not on this machine"
        precision = find_precision(bundle.card, recorded.fingerprint)
        embedder = load(bundle, backend="onnx", precision=precision)
        if embedder.fingerprint != recorded.fingerprint:
            return None, (
                f"texts were not measured: {recorded.name} on this machine is another model than "
                "the folder's"
            )
        return fit_model(folder, embedder).embed_texts(everyday_queries()), ""
    except ClipworksError as error:
        return None, f"texts were not measured: {error}"


def _measures_table(card: IndexCard) -> Group:
    """A line a kind of queries: what an index finds, and in what time."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in ("queries", "index", "recall@10", "@100", "p50 ms", "p95 ms", "MB", "built in s"):
        table.add_column(title, justify="left" if title in ("queries", "index") else "right")
    notes = []
    for modality, measures in card.measures.items():
        for name, found in measures.queries.items():
            deep = "-" if found.recall_at_100 is None else f"{found.recall_at_100:.3f}"
            table.add_row(
                name.replace("->", " \u2192 "),
                card.kinds[modality],
                f"{found.recall_at_10:.3f}",
                deep,
                f"{found.p50_ms:.2f}",
                f"{found.p95_ms:.2f}",
                f"{measures.size_bytes / 1e6:,.1f}",
                f"{measures.build_s:,.1f}",
            )
        notes += [measures.note] if measures.note else []
        if not measures.reaches_target:
            notes.append(
                f"{modality}.index misses the recall of {measures.target:g}: another --kind "
                "or more --memory may reach it"
            )
    return Group(table, *(Text(note, style="dim") for note in notes))
