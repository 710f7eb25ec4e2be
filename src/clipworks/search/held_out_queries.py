"""Queries to measure an index with, and what exact search answers to them.

A picture that is a query is a row of the folder, and is left out of its own answers. It is not
perturbed: what people search with are other pictures of the same kind, which lie where the rows
lie, and random noise would point away from all of them.

Texts lie elsewhere than pictures do, so that an index finds less with them: they are measured
apart.

Axes: query, hit, dim (width of the joint space).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from clipworks.arrays import Embeddings
from clipworks.search.embedding_rows import EmbeddingRows, draw_rows
from clipworks.search.faiss_binding import faiss
from clipworks.search.folder_contents import FolderContents, Modality
from clipworks.search.matches import Matches, keep_best, no_matches

MAX_QUERIES = 400
MAX_HITS = 100
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
            "rows of the folder, each left out of its own answers",
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
