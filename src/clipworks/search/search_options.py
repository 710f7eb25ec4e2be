"""What a search is to leave out, and what it is to say about each hit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from clipworks.arrays import normalize_rows
from clipworks.errors import ModelMismatchError

if TYPE_CHECKING:
    from clipworks.search.heads import Head


@dataclass(frozen=True)
class HeadLimit:
    """A head whose scores are wanted, and the range in which they must lie.

    Attributes:
        name: what the scores are called.
        head: what scores.
        low: the lowest score that stays.
        high: the highest.
    """

    name: str
    head: Head
    low: float = -np.inf
    high: float = np.inf


@dataclass(frozen=True, eq=False)
class Aesthetic:
    """A direction that queries are turned to.

    Attributes:
        direction: one of LAION's aesthetic embeddings [dim].
        weight: of the direction, beside the query's 1.
    """

    direction: Float32[np.ndarray, "dim"]
    weight: float = 0.5

    def add_to(self, query: Float32[np.ndarray, "dim"]) -> Float32[np.ndarray, "dim"]:
        """Add the direction as clip-retrieval does, and scale to unit length.

        Raises:
            ModelMismatchError: they are not equally wide.
        """
        if query.shape != self.direction.shape:
            raise ModelMismatchError(
                f"the aesthetic embedding has {len(self.direction)} numbers, and the query "
                f"{len(query)}: it is for another model"
            )
        return normalize_rows((query + self.weight * self.direction)[None].astype(np.float32))[0]


@dataclass(frozen=True)
class SearchOptions:
    """Filters, judged in this order, and further figures.

    Attributes:
        where: a condition over the metadata's columns; the search looks among its rows only.
        relevant: only hits that are probably answers (`clipworks.search.relevance`).
        heads: score hits, and leave out those beyond a limit.
        dedup: the cosine from which on a hit is a near duplicate of an earlier one, and left out;
            None to keep duplicates.
        probabilities: say each hit's probability of being an answer, where that can be said.
        embeddings: give each hit its embedding.
        aesthetic: turns the query to pictures of a rating.
    """

    where: str = ""
    relevant: bool = False
    heads: tuple[HeadLimit, ...] = ()
    dedup: float | None = None
    probabilities: bool = False
    embeddings: bool = False
    aesthetic: Aesthetic | None = None
