"""Exact search with NumPy over the embeddings as they lie on disk: nothing to build.

Axes: row (of the index), query, hit, dim (width of the joint space).
"""

from __future__ import annotations

from pathlib import Path
from typing import Self, final

import numpy as np

from clipworks.arrays import Embeddings
from clipworks.files import atomic_path
from clipworks.search.embedding_rows import BLOCK_ROWS, EmbeddingRows
from clipworks.search.index import DEFAULT_SETTINGS, AbstractStoredIndex, Allowed, Report
from clipworks.search.index_settings import IndexSettings
from clipworks.search.matches import Candidates, Matches, in_blocks, nearest_among


@final
class ExactIndex(AbstractStoredIndex):
    """Compares each query with every row. Slow above some hundred thousand rows."""

    def __init__(self, rows: EmbeddingRows) -> None:
        self._rows = rows

    @property
    def kind(self) -> str:
        """How the rows are kept."""
        return "exact"

    @property
    def size(self) -> int:
        """How many rows there are."""
        return self._rows.size

    @property
    def embedding_dim(self) -> int:
        """Width of the joint space."""
        return self._rows.embedding_dim

    @classmethod
    def build(
        cls,
        rows: EmbeddingRows,
        settings: IndexSettings = DEFAULT_SETTINGS,
        report: Report | None = None,
    ) -> Self:
        """Keep the rows where they are."""
        if report:
            report(rows.size, rows.size)
        return cls(rows)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read what `save` wrote, memory-mapped."""
        return cls(EmbeddingRows([path]))

    def save(self, path: Path) -> None:
        """Write all rows to one `.npy` file, as float16."""
        shape = (self.size, self.embedding_dim)
        header = {"descr": "<f2", "fortran_order": False, "shape": shape}
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            for block in self._rows.blocks():
                stream.write(block.astype("<f2").tobytes())

    def discard(self) -> None:
        """Do nothing: all of it is in its file."""

    @property
    def max_effort(self) -> int:
        """Every search looks at all rows."""
        return 1

    def set_effort(self, effort: int) -> None:
        """Do nothing: there is no choice."""

    def grown(self, rows: EmbeddingRows) -> Self | None:
        """Say that building anew is as quick."""
        return None

    def thinned(self, kept: Allowed) -> Self | None:
        """Say that building anew is as quick."""
        return None

    def _nearest(self, queries: Embeddings, k: int, allowed: Allowed | None) -> Matches:
        return nearest_among(queries, k, self._candidates(allowed))

    def _rows_at(self, ids: np.ndarray) -> Embeddings:
        return self._rows.take(ids)

    def _candidates(self, allowed: Allowed | None) -> Candidates:
        if allowed is None:
            start = 0
            for rows in self._rows.blocks():
                yield np.arange(start, start + len(rows)), rows
                start += len(rows)
            return
        yield from in_blocks(np.flatnonzero(allowed), BLOCK_ROWS, self._rows.take)
