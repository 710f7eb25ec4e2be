"""Ranked rows through the filters of a search, a piece at a time.

Axes: hit, dim (width of the joint space).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from clipworks.arrays import Embeddings
from clipworks.errors import SettingsError
from clipworks.search.near_duplicates import DuplicateSieve
from clipworks.search.ranking import Piece
from clipworks.search.relevance import RELEVANT, Probabilities
from clipworks.search.search_options import SearchOptions

_SLICE_HITS = 1024

Judge = Callable[[Embeddings], Probabilities | None]
"""Gives the probabilities of some rows; None where they cannot be said."""


@dataclass(frozen=True)
class Sifted:
    """Some hits that follow each other, and what was measured of them.

    Attributes:
        piece: their rows and similarities.
        vectors: their embeddings [hit dim]; None where nothing needs them.
        probabilities: [hit], or None.
        scores: [hit] by the heads' names.
    """

    piece: Piece
    vectors: Embeddings | None
    probabilities: Probabilities | None
    scores: dict[str, np.ndarray]

    @property
    def size(self) -> int:
        """How many hits."""
        return len(self.piece.ids)

    def keep(self, chosen: np.ndarray) -> Sifted:
        """The hits whose bit is set, or whose places are given."""
        return replace(
            self,
            piece=self.piece.keep(chosen),
            vectors=None if self.vectors is None else self.vectors[chosen],
            probabilities=None if self.probabilities is None else self.probabilities[chosen],
            scores={name: values[chosen] for name, values in self.scores.items()},
        )


def sift(
    pieces: Iterable[Piece],
    options: SearchOptions,
    *,
    take: Callable[[np.ndarray], Embeddings],
    judge: Judge | None,
) -> Iterator[Sifted]:
    """Pass ranked rows through the filters; what is given out may be empty.

    Where only relevant hits are wanted, the first thousand without any is the last.

    Args:
        pieces: from `rank_rows`.
        options: the filters.
        take: gives rows' embeddings.
        judge: gives probabilities; None where they cannot be said of this query.

    Raises:
        SettingsError: only relevant hits are wanted, and relevance cannot be judged.
    """
    sieve = DuplicateSieve(options.dedup) if options.dedup is not None else None
    for piece in _slices(pieces):
        found = _measure(piece, options, take, judge)
        if options.relevant:
            if found.probabilities is None:
                raise SettingsError(
                    "relevance can be judged for texts that look for pictures in a folder of 30 "
                    "and more, not here: leave --relevant out"
                )
            found = found.keep(found.probabilities >= RELEVANT)
            if not found.size:
                return
        for limit in options.heads:
            scores = found.scores[limit.name]
            found = found.keep((scores >= limit.low) & (scores <= limit.high))
        if sieve is not None and found.vectors is not None:
            found = found.keep(sieve.first_of_group(found.vectors))
        yield found


def _slices(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Cut long pieces up, so that no more is measured than is asked for, nor held at once."""
    for piece in pieces:
        for start in range(0, len(piece.ids), _SLICE_HITS):
            yield Piece(
                piece.ids[start : start + _SLICE_HITS],
                piece.similarities[start : start + _SLICE_HITS],
            )


def _measure(
    piece: Piece,
    options: SearchOptions,
    take: Callable[[np.ndarray], Embeddings],
    judge: Judge | None,
) -> Sifted:
    judged = judge is not None and (options.relevant or options.probabilities)
    if not (judged or options.heads or options.embeddings or options.dedup is not None):
        return Sifted(piece, None, None, {})
    vectors = take(piece.ids)
    return Sifted(
        piece,
        vectors,
        probabilities=judge(vectors) if judge is not None and judged else None,
        scores={limit.name: limit.head.score(vectors) for limit in options.heads},
    )
