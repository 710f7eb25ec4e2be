"""An embedding folder to an index, in the same folder and in clip-retrieval's layout.

Beside `metadata/`, which is there already, come `image.index` and `text.index`, and last of all
`index.json`.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from clipworks.arrays import Embeddings
from clipworks.data.folder_lock import hold_folder
from clipworks.errors import ClipworksError, FolderError
from clipworks.files import explaining_writes
from clipworks.search.embedding_rows import EmbeddingRows
from clipworks.search.folder_contents import MODALITIES, FolderContents, Modality, read_contents
from clipworks.search.held_out_queries import draw_queries, find_exactly, moved
from clipworks.search.index import DEFAULT_SETTINGS, INDEXES, AbstractStoredIndex
from clipworks.search.index_card import CARD_FILE, IndexCard, write_index_card
from clipworks.search.index_folder import DEFAULT_BACKEND, index_path, opened_alone
from clipworks.search.index_measures import IndexMeasures
from clipworks.search.index_plan import second_choice
from clipworks.search.index_settings import IndexSettings
from clipworks.search.index_tuning import Trial, measure, tune
from clipworks.search.row_store import write_row_store

_MAX_PLACE_BYTES = 4096  # of the file that says on which server an index is

AGAIN = "run the same command again"

Report = Callable[[str, int, int], None]
"""Is called with the stage ("images"), the rows done and the rows in all."""


@dataclass(frozen=True)
class BuildOrder:
    """What is to be built, and who wants to know how far it is.

    Attributes:
        backend: `faiss`, `milvus`, or `exact` (a plain matrix).
        settings: of the index.
        everyday: texts that the folder's model embedded, to measure with where it has none.
        note: why there are none, for the index card.
        report: is told how far the work is.
    """

    backend: str = DEFAULT_BACKEND
    settings: IndexSettings = DEFAULT_SETTINGS
    everyday: Embeddings | None = None
    note: str = ""
    report: Report | None = None

    def tell(self, stage: str, done: int, total: int) -> None:
        """Report, if somebody listens."""
        if self.report:
            self.report(stage, done, total)


def build_index(folder: Path, order: BuildOrder | None = None) -> IndexCard:
    """Index an embedding folder's pictures and texts; an index that is there is replaced.

    Args:
        folder: that `clipworks embed`, or clip-retrieval, wrote.
        order: how; by default FAISS, of the kind that fits.

    Raises:
        FolderError: the folder is missing, unfinished, empty, damaged or in use, or cannot be
            written.
        SettingsError: the kind does not fit the memory.
    """
    order = order or BuildOrder()
    contents = read_contents(folder)
    if not contents.metadata.size:
        raise FolderError(f"{folder} holds no samples, so there is nothing to index")
    for modality in MODALITIES:
        _check_ours(folder, modality)
    with explaining_writes(folder, AGAIN), hold_folder(folder):
        _sweep(folder)
        return write_indexes(folder, contents, order)


def write_indexes(
    folder: Path,
    contents: FolderContents,
    order: BuildOrder,
    made: dict[Modality, AbstractStoredIndex] | None = None,
) -> IndexCard:
    """Build, tune, save and measure each modality's index, in a folder that is held.

    Args:
        folder: gets the indexes and their card.
        contents: of the folder.
        order: how to build them.
        made: indexes that are built already, of rows that were indexed before.
    """
    kinds: dict[str, str] = {}
    measures: dict[str, IndexMeasures] = {}
    for modality in MODALITIES:
        if modality in contents.rows:
            index = (made or {}).get(modality)
            kinds[modality], measures[modality] = _write_one(
                folder, contents, modality, order, index
            )
        else:
            _remove_index(index_path(folder, modality))
    card = _card(contents, order.backend, kinds, measures)
    write_row_store(contents.metadata)
    write_index_card(folder, card)
    return card


def _write_one(
    folder: Path,
    contents: FolderContents,
    modality: Modality,
    order: BuildOrder,
    index: AbstractStoredIndex | None,
) -> tuple[str, IndexMeasures]:
    rows, build_s = contents.rows[modality], 0.0
    settings = replace(order.settings, work_folder=folder, rows=modality)
    if index is None:
        index, build_s = _build(rows, order, settings)
    drawn = draw_queries(contents, modality, order.everyday)
    sets = [moved(each, index, rows) for each in drawn]
    truths = find_exactly(
        sets, rows, lambda *state: order.tell(f"{modality}s, searched exactly", *state)
    )
    trial = Trial(rows, sets, truths)
    meant = trial.asked_by(settings.queries)
    tuned = tune(index, meant, settings.recall)
    other = second_choice(rows.size, rows.embedding_dim, settings)
    if other and order.backend == DEFAULT_BACKEND and not meant.is_satisfied(index, tuned):
        index, build_s = _build(rows, order, replace(settings, kind=other))
        tuned = tune(index, meant, settings.recall)
    measures = replace(
        tuned,
        asked_by=settings.queries,
        asked_kind=settings.kind,
        server=settings.server,
    )
    path, old = index_path(folder, modality), old_index(folder, modality)
    # From here on until the new card is written, what lies there is not one whole.
    (folder / CARD_FILE).unlink(missing_ok=True)
    index.save(path)
    if old:
        old.discard()
    opened = opened_alone(path, order.backend, rows, measures.refinement)
    note = order.note if modality == "image" and len(sets) == 1 else ""
    measures = measure(opened, trial, measures)
    return index.kind, replace(
        measures, size_bytes=_size_of(path), build_s=round(build_s, 2), note=note
    )


def _build(
    rows: EmbeddingRows, order: BuildOrder, settings: IndexSettings
) -> tuple[AbstractStoredIndex, float]:
    begin = time.perf_counter()
    index = INDEXES.load(order.backend).build(
        rows, settings, lambda *state: order.tell(f"{settings.rows}s", *state)
    )
    return index, time.perf_counter() - begin


def old_index(folder: Path, modality: Modality) -> AbstractStoredIndex | None:
    """The index that a server keeps for a folder, if one does and answers."""
    path = index_path(folder, modality)
    try:
        if path.stat().st_size > _MAX_PLACE_BYTES:
            return None
        json.loads(path.read_text("utf-8"))
        return INDEXES.load("milvus").open(path)
    except (OSError, ValueError, ClipworksError):
        return None


def _check_ours(folder: Path, modality: Modality) -> None:
    path = index_path(folder, modality)
    if path.is_dir() and not (folder / CARD_FILE).is_file():
        raise FolderError(f"{path} is a folder that another program wrote: move it away first")


def _remove_index(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Clear away what a killed build left."""
    for pattern in (".*.index.*.part", ".lists.*.part", f".{CARD_FILE}.*.part"):
        for stray in folder.glob(pattern):
            _remove_index(stray)


def _size_of(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def _card(
    contents: FolderContents,
    backend: str,
    kinds: dict[str, str],
    measures: dict[str, IndexMeasures],
) -> IndexCard:
    manifest = contents.manifest
    widths = {rows.embedding_dim for rows in contents.rows.values()}
    return IndexCard(
        backend=backend,
        model=manifest.model if manifest else "",
        fingerprint=manifest.fingerprint if manifest else "",
        embedding_dim=max(widths),
        rows=contents.metadata.size,
        kinds=kinds,
        listing_digest=manifest.listing_digest if manifest else "",
        measures=measures,
    )
