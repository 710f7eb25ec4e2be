"""All rows of a folder that meet some conditions: every row is looked at, so none is missed.

Axes: row, dim (width of the joint space).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64

from clipworks.arrays import Embeddings
from clipworks.errors import SettingsError
from clipworks.search.folder_vectors import FolderVectors
from clipworks.search.index import Report
from clipworks.search.relevance import RELEVANT
from clipworks.search.search_options import HeadLimit
from clipworks.search.sifting import Judge


@dataclass(frozen=True)
class Conditions:
    """What a row has to meet; what is left out is met by all.

    Attributes:
        allowed: a bit a row, as `allowed_rows` gives them.
        query: a unit embedding.
        min_similarity: the least cosine with the query.
        judge: gives probabilities; rows must be relevant by them.
        heads: with the ranges of their scores.
    """

    allowed: Bool[np.ndarray, "row"] | None = None
    query: Float32[np.ndarray, "dim"] | None = None
    min_similarity: float = -np.inf
    judge: Judge | None = None
    heads: tuple[HeadLimit, ...] = ()


@dataclass(frozen=True)
class Matching:
    """The rows that met the conditions: nearest first where there was a query, else by their ids.

    Attributes:
        ids: row numbers.
        figures: by name ("similarity", "probability" and the heads' names), one a row.
    """

    ids: Int64[np.ndarray, "row"]
    figures: dict[str, Float32[np.ndarray, "row"]]

    def keep(self, chosen: np.ndarray) -> Matching:
        """The rows whose bit is set, or whose places are given."""
        return Matching(self.ids[chosen], {n: v[chosen] for n, v in self.figures.items()})


def scan_folder(
    vectors: FolderVectors, conditions: Conditions, report: Report | None = None
) -> Matching:
    """Look at every allowed row.

    Raises:
        SettingsError: relevance is wanted and cannot be judged.
    """
    allowed = conditions.allowed
    ids = vectors.ids if allowed is None else vectors.ids[allowed[vectors.ids]]
    if conditions.query is None and not conditions.heads:
        return Matching(ids, {})
    found: list[Matching] = []
    done = 0
    for chosen, rows in vectors.blocks(ids):
        found.append(_match(chosen, rows, conditions))
        done += len(chosen)
        if report:
            report(done, len(ids))
    return _sort(_concatenate(found)) if found else Matching(ids, {})


def _match(ids: np.ndarray, rows: Embeddings, conditions: Conditions) -> Matching:
    matching = Matching(ids, {})
    if conditions.query is not None:
        matching.figures["similarity"] = rows @ conditions.query
        chosen = matching.figures["similarity"] >= conditions.min_similarity
        matching, rows = matching.keep(chosen), rows[chosen]
    if conditions.judge is not None:
        probabilities = conditions.judge(rows)
        if probabilities is None:
            raise SettingsError("relevance cannot be judged in this folder: leave --relevant out")
        matching.figures["probability"] = probabilities
        chosen = probabilities >= RELEVANT
        matching, rows = matching.keep(chosen), rows[chosen]
    for limit in conditions.heads:
        scores = limit.head.score(rows)
        matching.figures[limit.name] = scores
        chosen = (scores >= limit.low) & (scores <= limit.high)
        matching, rows = matching.keep(chosen), rows[chosen]
    return matching


def _concatenate(parts: list[Matching]) -> Matching:
    figures = {
        name: np.concatenate([part.figures[name] for part in parts]) for name in parts[0].figures
    }
    return Matching(np.concatenate([part.ids for part in parts]), figures)


def _sort(matching: Matching) -> Matching:
    if "similarity" not in matching.figures:
        return matching
    return matching.keep(np.lexsort((matching.ids, -matching.figures["similarity"])))
