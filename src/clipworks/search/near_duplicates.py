"""Near duplicates: rows that a chain of high cosines ties together.

Axes: row, hit, dim (width of the joint space).
"""

from __future__ import annotations

from typing import final

import numpy as np
from jaxtyping import Bool, Int64

from clipworks.arrays import Embeddings
from clipworks.errors import SettingsError

NEAR_DUPLICATE = 0.94
"""The cosine from which on clip-retrieval takes two pictures for one."""


def check_threshold(threshold: float) -> float:
    """Return the threshold.

    Raises:
        SettingsError: no cosine that tells duplicates from others.
    """
    if not 0 < threshold <= 1:
        raise SettingsError(f"dedup threshold {threshold:g}: expected a cosine above 0, up to 1")
    # The sum of products of half floats is not exact: a copy may come out a little below 1.
    return min(threshold, 0.9995)


@final
class DuplicateSieve:
    """Lets through the first of each group of near duplicates, as hits come in.

    A hit is held back where its cosine with any hit before it, held back or not, reaches the
    threshold: those are the components of the graph of similar hits (as clip-retrieval joins
    them), built up in the hits' order. So a decision never changes, however many hits follow;
    two groups that only a later hit joins both stay.
    """

    def __init__(self, threshold: float = NEAR_DUPLICATE) -> None:
        self._threshold = check_threshold(threshold)
        self._seen: list[Embeddings] = []

    def first_of_group(self, rows: Embeddings) -> Bool[np.ndarray, "hit"]:
        """Say for each of the next hits whether it is the first of its group."""
        fresh = np.ones(len(rows), np.bool_)
        for before in self._seen:
            fresh &= (rows @ before.T).max(axis=1, initial=-1) < self._threshold
        among = np.tril(rows @ rows.T, k=-1)  # with those before it only
        fresh &= ~(among >= self._threshold).any(axis=1)
        self._seen.append(rows)
        return fresh


@final
class Components:
    """Connected components over rows, joined pair by pair (union by the smaller id)."""

    def __init__(self, size: int) -> None:
        self._parents = np.arange(size, dtype=np.int64)

    def join(self, left: Int64[np.ndarray, "pair"], right: Int64[np.ndarray, "pair"]) -> None:
        """Put the rows of each pair into one component."""
        parents = self._parents
        left, right = self._roots(left), self._roots(right)
        while len(left):
            low, high = np.minimum(left, right), np.maximum(left, right)
            np.minimum.at(parents, high, low)
            left, right = self._roots(low), self._roots(high)
            apart = left != right
            left, right = left[apart], right[apart]

    def labels(self) -> Int64[np.ndarray, "row"]:
        """The smallest row of each row's component."""
        return self._roots(np.arange(len(self._parents)))

    def _roots(self, rows: np.ndarray) -> np.ndarray:
        parents = self._parents
        while True:
            above = parents[rows]
            if (above == rows).all():
                return rows
            parents[rows] = parents[above]  # halve the path on the way
            rows = parents[rows]
