"""`clipworks index`: an embedding folder to an index that answers fast."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipworks.cli.options import EmbeddingFolder, Json
from clipworks.errors import ClipworksError

if TYPE_CHECKING:
    from rich.console import Group

    from clipworks.arrays import Embeddings
    from clipworks.search.index_card import IndexCard

Kind = Annotated[
    str,
    typer.Option(
        envvar="CLIPWORKS_INDEX_KIND",
        help="flat (exact), hnsw, ivf-sq8, ivf-pq, or auto: by rows and memory.",
    ),
]
Recall = Annotated[
    float,
    typer.Option(
        envvar="CLIPWORKS_RECALL",
        help="Share of the ten nearest rows that is to be found, measured against exact search.",
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
    str, typer.Option(envvar="CLIPWORKS_INDEX_BACKEND", help="faiss, milvus, or exact.")
]


def index(
    folder: EmbeddingFolder,
    kind: Kind = "auto",
    recall: Recall = 0.95,
    memory: Memory = None,
    backend: IndexBackend = "faiss",
    json: Json = False,
) -> None:
    """Index an embedding folder, so that searches in it are fast, and measure what it finds."""
    from clipworks.cli.console import print_json, result_console, stage_watcher
    from clipworks.search.build import BuildOrder, build_index
    from clipworks.search.index_settings import IndexSettings, parse_size

    settings = IndexSettings(
        kind=kind, recall=recall, memory_bytes=parse_size(memory) if memory else 0
    )
    everyday, note = _everyday_texts(folder)
    with stage_watcher() as watch:
        order = BuildOrder(backend, settings, everyday, note, watch)
        card = build_index(folder, order)
    if json:
        print_json(card.to_json())
    else:
        head = f"{folder}: {card.rows:,} rows of {card.embedding_dim} numbers"
        result_console().print(head, markup=False, soft_wrap=True)
        result_console().print(_measures_table(card))


def _everyday_texts(folder: Path) -> tuple[Embeddings | None, str]:
    """Embed everyday texts where the folder has none and its model is here; else say why not."""
    from clipworks.data.embedding_folder import TEXT_FOLDER
    from clipworks.encoders.computed_precision import find_precision
    from clipworks.encoders.loading import find_installed, load
    from clipworks.search.everyday_queries import everyday_queries
    from clipworks.search.searcher import recorded_model

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
        return embedder.embed_texts(everyday_queries()), ""
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
