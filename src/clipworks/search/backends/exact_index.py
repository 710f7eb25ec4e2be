"""Exact search with NumPy over the embeddings as they lie on disk: nothing to build.

Axes: row (of the index), query, hit, dim (width of the joint space).
"""

from __future__ import annotations

from pathlib import Path
from typing import Self, final

import numpy as np

from clipworks.arrays import Embeddings
from clipworks.files import atomic_path
from clipworks.search.embedding_rows import EmbeddingRows
from clipworks.search.index import AbstractIndex, Matches, Report


@final
class ExactIndex(AbstractIndex):
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
    def build(cls, rows: EmbeddingRows, report: Report | None = None) -> Self:
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

    def _nearest(self, queries: Embeddings, k: int) -> Matches:
        ids = np.empty((len(queries), 0), np.int64)
        similarities = np.empty((len(queries), 0), np.float32)
        start = 0
        for block in self._rows.blocks():
            found = queries @ block.T  # [query row]
            numbers = np.broadcast_to(np.arange(start, start + len(block)), found.shape)
            start += len(block)
            ids, similarities = _keep_best(
                np.concatenate([ids, numbers], axis=1),
                np.concatenate([similarities, found], axis=1),
                k,
            )
        return Matches(ids, similarities)


def _keep_best(ids: np.ndarray, similarities: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Keep the k highest of each row, falling; of equals the one that came first."""
    order = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(ids, order, axis=1), np.take_along_axis(similarities, order, axis=1)
