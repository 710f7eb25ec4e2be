"""All rows of an index, best first, piece by piece: pages neither repeat nor drop a hit.

An index answers the first k rows, and which of equals come within k is a matter of chance; an
approximate one may find other rows when it looks for more. So the order is settled by a fixed
series of depths, whatever pages are asked for: the rows of each depth, those at the very edge left
for the next one, without the rows of the depths before; equals by their ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

if TYPE_CHECKING:
    from clipworks.search.index import AbstractIndex, Allowed

FIRST_DEPTH = 128
_GROWTH = 4


class Piece(NamedTuple):
    """Some rows that follow each other in the order.

    Attributes:
        ids: row numbers [hit].
        similarities: to the query [hit].
    """

    ids: Int64[np.ndarray, "hit"]
    similarities: Float32[np.ndarray, "hit"]

    def keep(self, chosen: np.ndarray) -> Piece:
        """The rows whose bit is set, or whose places are given."""
        return Piece(self.ids[chosen], self.similarities[chosen])


def rank_rows(
    index: AbstractIndex, query: Float32[np.ndarray, "dim"], allowed: Allowed | None = None
) -> Iterator[Piece]:
    """Go through an index's rows, nearest to the query first; no piece is empty.

    Args:
        index: what to look in.
        query: a unit embedding.
        allowed: a bit a row; None for all.
    """
    seen = np.zeros(0, np.int64)
    depth = FIRST_DEPTH
    while True:
        piece, is_last = _search(index, query, depth, allowed)
        piece = piece.keep(~np.isin(piece.ids, seen))
        if len(piece.ids):
            yield piece
            seen = np.concatenate([seen, piece.ids])
        if is_last:
            return
        depth *= _GROWTH


def _search(
    index: AbstractIndex, query: np.ndarray, depth: int, allowed: Allowed | None
) -> tuple[Piece, bool]:
    """Give the rows of one depth in order, and whether there are no further ones."""
    matches = index.search(query[None, :], depth, allowed=allowed)
    found = Piece(matches.ids[0], matches.similarities[0])
    found = found.keep(found.ids >= 0)
    is_last = depth >= index.size or len(found.ids) < depth
    if not is_last:  # which of those equal to the last one came in is chance
        found = found.keep(found.similarities > found.similarities[-1])
    return found.keep(np.lexsort((found.ids, -found.similarities))), is_last
