"""Where a folder's indexes lie, and how one is opened together with its metadata.

image.index, text.index   what the index backend wrote, as clip-retrieval names it
index.json                what they were built from (not in folders that clip-retrieval made)
deleted.npy               ids of the rows that are not to be found any more; only where need be
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from clipworks.data.embedding_folder import Manifest, existing_partitions, read_manifest
from clipworks.errors import FolderError
from clipworks.search.deleted_rows import KeptIndex, kept_rows
from clipworks.search.embedding_rows import EmbeddingRows
from clipworks.search.folder_contents import Modality, read_contents, read_rows
from clipworks.search.index import INDEXES, AbstractIndex
from clipworks.search.index_card import IndexCard, read_index_card
from clipworks.search.metadata import MetadataTable
from clipworks.search.refined_index import RefinedIndex

DEFAULT_BACKEND = "faiss"


@dataclass(frozen=True)
class OpenedIndex:
    """An index and the table that says what its rows are."""

    index: AbstractIndex
    metadata: MetadataTable


def index_path(folder: Path, modality: Modality) -> Path:
    """Where a folder's index of that modality lies."""
    return folder / f"{modality}.index"


def open_index(folder: Path, modality: Modality) -> OpenedIndex:
    """Open a folder's index; where it has none, compare with every row instead.

    Rows that were deleted keep their numbers, and are never found.

    Raises:
        FolderError: the folder or its index is missing, unfinished, damaged or out of date.
    """
    opened = _open_all_rows(folder, modality)
    kept = kept_rows(folder, opened.metadata.size)
    return opened if kept is None else OpenedIndex(KeptIndex(opened.index, kept), opened.metadata)


def opened_alone(
    path: Path, backend: str, rows: EmbeddingRows | None, refinement: int
) -> AbstractIndex:
    """Open an index as it answers: its finds compared again, where that is its way.

    Raises:
        FolderError: it is missing or damaged, or the embeddings that it needs are.
    """
    index = INDEXES.load(backend).open(path)
    if not refinement:
        return index
    if rows is None or rows.size != index.size:
        raise FolderError(
            f"{path} answers with the help of the embeddings, and they are not all there: put "
            f"them back, or run: clipworks index {path.parent}"
        )
    return RefinedIndex(index, rows, refinement)


def _open_all_rows(folder: Path, modality: Modality) -> OpenedIndex:
    manifest, card = read_manifest(folder), read_index_card(folder)
    path = index_path(folder, modality)
    # Without its card, an index beside our manifest is what a killed build left behind; one in a
    # folder without a manifest may be clip-retrieval's, which writes no cards.
    if not path.exists() or (manifest and not card):
        return _without_index(folder, modality)
    if card:
        _check_in_date(folder, card, manifest)
    metadata = MetadataTable([part.metadata for part in existing_partitions(folder)])
    measures = card.measures.get(modality) if card else None
    refinement = measures.refinement if measures else 0
    rows = read_rows(folder, modality, metadata) if refinement else None
    index = opened_alone(path, card.backend if card else DEFAULT_BACKEND, rows, refinement)
    if index.size != metadata.size:
        raise FolderError(
            f"{path} has {index.size} rows and the metadata {metadata.size}: "
            f"run: clipworks index {folder}"
        )
    return OpenedIndex(index, metadata)


def _without_index(folder: Path, modality: Modality) -> OpenedIndex:
    contents = read_contents(folder)
    if modality not in contents.rows:
        raise FolderError(
            f"{folder} has no {modality} embeddings: it has only {', '.join(contents.rows)}"
        )
    return OpenedIndex(INDEXES.load("exact").build(contents.rows[modality]), contents.metadata)


def _check_in_date(folder: Path, card: IndexCard, manifest: Manifest | None) -> None:
    if not card.is_of(manifest):
        raise FolderError(
            f"{folder} was embedded again after it was indexed: run: clipworks index {folder}"
        )
