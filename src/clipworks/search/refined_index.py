"""An index whose finds are compared once more, with the embeddings as they lie on disk.

Axes: row (of the index), query, hit, dim (width of the joint space).
"""

from __future__ import annotations

from typing import final

import numpy as np

from clipworks.arrays import Embeddings
from clipworks.search.embedding_rows import EmbeddingRows
from clipworks.search.index import AbstractIndex, AbstractOverlay, Allowed
from clipworks.search.matches import Matches, nearest_among, no_matches


@final
class RefinedIndex(AbstractOverlay):
    """Asks an index for more rows than are wanted, and keeps those that really are nearest.

    Args:
        index: may keep its rows as short codes.
        rows: the same rows, exactly.
        factor: how many times as many rows the index is asked for, at least 1.
    """

    def __init__(self, index: AbstractIndex, rows: EmbeddingRows, factor: int) -> None:
        assert index.size == rows.size
        assert factor >= 1
        super().__init__(index)
        self._rows = rows
        self._factor = factor

    def _nearest(self, queries: Embeddings, k: int, allowed: Allowed | None) -> Matches:
        rough = self._index.search(queries, k * self._factor, allowed=allowed)
        best = no_matches(len(queries), k)
        for number, found in enumerate(rough.ids):
            ids = found[found >= 0]
            query = queries[number : number + 1]
            again = nearest_among(query, k, [(ids, self._rows.take(ids))])
            best.ids[number], best.similarities[number] = again.ids[0], again.similarities[0]
        return best

    def _rows_at(self, ids: np.ndarray) -> Embeddings:
        return self._rows.take(ids)
