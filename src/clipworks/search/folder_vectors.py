"""A folder's embeddings for work on all of them, and the metadata in step with them.

Axes: row, dim (width of the joint space).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from clipworks.arrays import Embeddings
from clipworks.search.deleted_rows import kept_rows
from clipworks.search.embedding_rows import BLOCK_ROWS, EmbeddingRows, draw_rows
from clipworks.search.folder_contents import Modality, read_rows
from clipworks.search.index import AbstractIndex
from clipworks.search.index_folder import open_index
from clipworks.search.matches import Candidates, in_blocks
from clipworks.search.metadata import MetadataTable


@dataclass(frozen=True)
class FolderVectors:
    """Rows by number, from the folder's arrays or else from its index.

    Attributes:
        index: of the modality.
        metadata: one row a sample.
        rows: the arrays; None where only the index is left of them.
        ids: of all rows that were not deleted, rising.
    """

    index: AbstractIndex
    metadata: MetadataTable
    rows: EmbeddingRows | None
    ids: Int64[np.ndarray, "row"]

    @property
    def size(self) -> int:
        """How many rows there are, the deleted ones too: ids go up to here."""
        return self.index.size

    @property
    def embedding_dim(self) -> int:
        """Width of the joint space."""
        return self.index.embedding_dim

    def take(self, ids: np.ndarray) -> Embeddings:
        """Give some rows, in the order asked for."""
        return self.index.reconstruct(ids) if self.rows is None else self.rows.take(ids)

    def blocks(self, ids: np.ndarray | None = None) -> Candidates:
        """Go through rows in their order, some thousands at a time, each block with its ids.

        Args:
            ids: which rows; None for all that were not deleted.
        """
        return in_blocks(self.ids if ids is None else ids, BLOCK_ROWS, self.take)

    def sample(self, count: int) -> Embeddings:
        """Draw up to `count` rows evenly at random, the same ones every time."""
        return self.take(self.ids[draw_rows(len(self.ids), count)])


def open_vectors(folder: Path, modality: Modality = "image") -> FolderVectors:
    """Open a folder's embeddings of one modality.

    Raises:
        FolderError: the folder or its index is missing, unfinished, damaged or out of date.
    """
    opened = open_index(folder, modality)
    rows = read_rows(folder, modality, opened.metadata)
    kept = kept_rows(folder, opened.metadata.size)
    ids = np.arange(opened.metadata.size) if kept is None else np.flatnonzero(kept)
    return FolderVectors(opened.index, opened.metadata, rows, ids)
