"""Where a folder's indexes lie, and how one is opened together with its metadata.

image.index, text.index   what the index backend wrote, as clip-retrieval names it
index.json                what they were built from (not in folders that clip-retrieval made)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from clipworks.data.embedding_folder import Manifest, existing_partitions, read_manifest
from clipworks.errors import FolderError
from clipworks.search.folder_contents import Modality, read_contents
from clipworks.search.index import INDEXES, AbstractIndex
from clipworks.search.index_card import IndexCard, read_index_card
from clipworks.search.metadata import MetadataTable

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

    Raises:
        FolderError: the folder or its index is missing, unfinished, damaged or out of date.
    """
    manifest, card = read_manifest(folder), read_index_card(folder)
    path = index_path(folder, modality)
    # Without its card, an index beside our manifest is what a killed build left behind; one in a
    # folder without a manifest may be clip-retrieval's, which writes no cards.
    if not path.exists() or (manifest and not card):
        return _without_index(folder, modality)
    if card:
        _check_in_date(folder, card, manifest)
    index = INDEXES.load(card.backend if card else DEFAULT_BACKEND).open(path)
    metadata = MetadataTable([part.metadata for part in existing_partitions(folder)])
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
    indexed = (card.fingerprint, card.listing_digest)
    if manifest and indexed != (manifest.fingerprint, manifest.listing_digest):
        raise FolderError(
            f"{folder} was embedded again after it was indexed: run: clipworks index {folder}"
        )
