"""What was found: the nearest rows of each query, and how lists of them become one.

Axes: row, query, hit (best first), dim (width of the joint space).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from clipworks.arrays import Embeddings


class Matches(NamedTuple):
    """What an index found.

    Attributes:
        ids: row numbers [query hit]; -1 where fewer rows were allowed or found.
        similarities: inner products [query hit], falling along a row; -inf where the id is -1.
    """

    ids: Int64[np.ndarray, "query hit"]
    similarities: Float32[np.ndarray, "query hit"]


Candidates = Iterable[tuple[Int64[np.ndarray, "row"], Embeddings]]
"""Rows that may be found, some thousands at a time, each block with its rows' ids."""


def no_matches(num_queries: int, k: int) -> Matches:
    """What is found where nothing can be."""
    ids = np.full((num_queries, k), -1, np.int64)
    return Matches(ids, np.full((num_queries, k), -np.inf, np.float32))


def nearest_among(queries: Embeddings, k: int, candidates: Candidates) -> Matches:
    """Compare queries with every candidate; of equals those win that came first."""
    best = no_matches(len(queries), k)
    for ids, rows in candidates:
        found = queries @ rows.T  # [query row]
        best = keep_best(best, Matches(np.broadcast_to(ids, found.shape), found), k)
    return best


def in_blocks(
    ids: np.ndarray, size: int, rows_at: Callable[[np.ndarray], Embeddings]
) -> Candidates:
    """Read the rows of these ids, `size` at a time."""
    for start in range(0, len(ids), size):
        chosen = ids[start : start + size]
        yield chosen, rows_at(chosen)


def keep_best(best: Matches, found: Matches, k: int) -> Matches:
    """Keep each query's k highest of two lists; of equals those of the first."""
    ids = np.concatenate([best.ids, found.ids], axis=1)
    similarities = np.concatenate([best.similarities, found.similarities], axis=1)
    order = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    return Matches(
        np.take_along_axis(ids, order, axis=1), np.take_along_axis(similarities, order, axis=1)
    )
