"""Queries to measure an index with, and what exact search answers to them.

A picture that is a query is a row of the folder, moved a little and left out of its own answers.
What people search with are other pictures of the same kind, which lie where the rows lie: so it is
moved along the difference between two rows that are neighbours elsewhere. Random noise would point
away from all rows; and a row that is not moved, a graph finds too easily, since it has linked it
with its nearest.

Texts lie elsewhere than pictures do, so that an index finds less with them: they are measured
apart.

Axes: query, hit, dim (width of the joint space).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from clipworks.arrays import Embeddings, normalize_rows
from clipworks.search.embedding_rows import EmbeddingRows, draw_rows
from clipworks.search.faiss_binding import faiss
from clipworks.search.folder_contents import FolderContents, Modality
from clipworks.search.index import AbstractIndex
from clipworks.search.matches import Matches, keep_best, no_matches

MAX_QUERIES = 400
MAX_HITS = 100
_NEIGHBOURS = 40
_STEP = 0.5  # of the difference: with it, queries are a little harder than unseen pictures
_TAKEN_TWICE = MAX_HITS + 1  # a query's own row is among them
_SEED = 0

Watch = Callable[[int, int], None]
"""Is called with the rows done and the rows in all."""


@dataclass(frozen=True)
class QuerySet:
    """Queries of one kind.

    Attributes:
        name: from where to where: "text->image".
        queries: unit rows [query dim].
        own: each query's own row, which is not to be found; None where it is in another matrix.
        origin: for people: where they come from.
    """

    name: str
    queries: Embeddings
    own: np.ndarray | None
    origin: str

    def first(self, count: int) -> QuerySet:
        """The first few of them."""
        own = None if self.own is None else self.own[:count]
        return replace(self, queries=self.queries[:count], own=own)

    def answers(self, found: Matches, k: int) -> list[np.ndarray]:
        """Each query's best k ids without its own row."""
        if self.own is None:
            return [ids[ids >= 0][:k] for ids in found.ids]
        pairs = zip(found.ids, self.own, strict=True)
        return [ids[(ids >= 0) & (ids != own)][:k] for ids, own in pairs]


def draw_queries(
    contents: FolderContents, modality: Modality, everyday: Embeddings | None
) -> list[QuerySet]:
    """Draw the folder's own rows, and rows of its other modality or else everyday texts.

    Args:
        contents: of the folder.
        modality: of the index that is to be measured.
        everyday: texts that the folder's model embedded, for folders without texts.
    """
    other: Modality = "text" if modality == "image" else "image"
    drawn = _draw(contents.rows[modality])
    sets = [
        QuerySet(
            f"{modality}->{modality}",
            contents.rows[modality].take(drawn),
            drawn,
            "rows of the folder, moved a little, each left out of its own answers",
        )
    ]
    if other in contents.rows:
        rows = contents.rows[other]
        queries, origin = rows.take(_draw(rows)), f"the folder's own {other}s"
    elif modality == "image" and everyday is not None:
        queries, origin = everyday, "everyday texts, embedded by the folder's model"
    else:
        return sets
    queries = queries[np.linalg.norm(queries, axis=1) > 0.5]  # samples without a caption: zeros
    return (
        [*sets, QuerySet(f"{other}->{modality}", queries, None, origin)] if len(queries) else sets
    )


def moved(each: QuerySet, index: AbstractIndex, rows: EmbeddingRows) -> QuerySet:
    """Move a folder's own rows to where no row is; other queries stay where they are.

    Args:
        each: queries.
        index: of the rows; roughly right neighbours do.
        rows: the same.
    """
    if each.own is None:
        return each
    random = np.random.default_rng(_SEED)
    found = index.search(each.queries, _NEIGHBOURS + 1)
    answers = zip(each.own, each.answers(found, _NEIGHBOURS), strict=True)
    neighbours = [random.choice(near) if len(near) else own for own, near in answers]
    steps = each.queries - rows.take(np.array(neighbours, np.int64))
    # Each gets another's step: its own would lead to where its neighbours are, or away from all.
    return replace(each, queries=normalize_rows(each.queries + _STEP * np.roll(steps, 1, axis=0)))


def find_exactly(sets: list[QuerySet], rows: EmbeddingRows, watch: Watch) -> list[Matches]:
    """Compare all queries with every row, in one pass over the disk."""
    queries = np.concatenate([each.queries for each in sets])
    best = no_matches(len(queries), min(_TAKEN_TWICE, rows.size))
    start = 0
    for block in rows.blocks():
        best = _merged(best, queries, block, start)
        start += len(block)
        watch(start, rows.size)
    ends = np.cumsum([len(each.queries) for each in sets])[:-1]
    parts = zip(np.split(best.ids, ends), np.split(best.similarities, ends), strict=True)
    return [Matches(ids, similarities) for ids, similarities in parts]


def _draw(rows: EmbeddingRows) -> np.ndarray:
    return draw_rows(rows.size, MAX_QUERIES, seed=_SEED)


def _merged(best: Matches, queries: Embeddings, block: Embeddings, start: int) -> Matches:
    k = best.ids.shape[1]
    measure = faiss.METRIC_INNER_PRODUCT
    similarities, places = faiss.knn(queries, block, min(k, len(block)), metric=measure)
    return keep_best(best, Matches(places + start, similarities), k)
