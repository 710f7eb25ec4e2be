"""An index whose finds are compared once more, with the embeddings as they lie on disk.

Axes: row (of the index), query, hit, dim (width of the joint space).
"""

from __future__ import annotations

from typing import final

import numpy as np

from clipworks.arrays import Embeddings
from clipworks.search.embedding_rows import EmbeddingRows
from clipworks.search.index import AbstractIndex, Allowed
from clipworks.search.matches import Matches


@final
class RefinedIndex(AbstractIndex):
    """Asks an index for more rows than are wanted, and keeps those that really are nearest.

    Args:
        index: may keep its rows as short codes.
        rows: the same rows, exactly.
        factor: how many times as many rows the index is asked for, at least 1.
    """

    def __init__(self, index: AbstractIndex, rows: EmbeddingRows, factor: int) -> None:
        assert index.size == rows.size
        assert factor >= 1
        self._index = index
        self._rows = rows
        self._factor = factor

    @property
    def kind(self) -> str:
        """How the rows are kept."""
        return self._index.kind

    @property
    def size(self) -> int:
        """How many rows there are."""
        return self._index.size

    @property
    def embedding_dim(self) -> int:
        """Width of the joint space."""
        return self._index.embedding_dim

    def _nearest(self, queries: Embeddings, k: int, allowed: Allowed | None) -> Matches:
        rough = self._index.search(queries, k * self._factor, allowed=allowed)
        best = [
            self._compare(query, ids[ids >= 0])
            for query, ids in zip(queries, rough.ids, strict=True)
        ]
        ids = np.full((len(queries), k), -1, np.int64)
        similarities = np.full((len(queries), k), -np.inf, np.float32)
        for number, found in enumerate(best):
            count = min(k, len(found[0]))
            ids[number, :count], similarities[number, :count] = found[0][:count], found[1][:count]
        return Matches(ids, similarities)

    def _compare(self, query: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        similarities = self._rows.take(ids) @ query
        order = np.argsort(-similarities, kind="stable")
        return ids[order], similarities[order]

    def _rows_at(self, ids: np.ndarray) -> Embeddings:
        return self._rows.take(ids)
