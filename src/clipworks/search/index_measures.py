"""What was measured of an index: how well and how fast it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from clipworks.search.index_settings import AUTO, BOTH


@dataclass(frozen=True)
class QueryMeasure:
    """What came of one kind of queries.

    Attributes:
        recall_at_10: share of the ten nearest rows that was found, from 0 to 1.
        recall_at_100: the same of a hundred; None where there are fewer rows.
        p50_ms: median time of a single query for ten hits.
        p95_ms: 95 of 100 queries took no longer.
        num_queries: that were measured.
        origin: for people: where the queries come from.
    """

    recall_at_10: float
    recall_at_100: float | None
    p50_ms: float
    p95_ms: float
    num_queries: int
    origin: str


@dataclass(frozen=True)
class IndexMeasures:
    """What is known of one index of a folder.

    Attributes:
        effort: lists or nodes that a query looks at; 1 where there is no choice.
        refinement: how many times as many rows are compared again with the embeddings; 0 for none.
        target: recall@10 that was asked for.
        server: that keeps the rows; empty where they lie in the folder.
        size_bytes: on disk.
        asked_by: what queries were to find as much: `image`, `text` or `both`.
        asked_kind: of index: one of KINDS, or `auto`.
        build_s: seconds that building took, measuring not counted.
        queries: by kind ("text->image").
        note: what could not be measured, and why.
    """

    effort: int
    refinement: int
    target: float
    asked_by: str = BOTH
    asked_kind: str = AUTO
    server: str = ""
    size_bytes: int = 0
    build_s: float = 0.0
    queries: dict[str, QueryMeasure] = field(default_factory=dict)
    note: str = ""

    @property
    def reaches_target(self) -> bool:
        """Whether the queries that were meant find as much as was asked for."""
        meant = names_meant(self.asked_by, list(self.queries))
        return all(self.queries[name].recall_at_10 >= self.target for name in meant)


def names_meant(asked_by: str, names: Sequence[str]) -> list[str]:
    """Of kinds of queries ("text->image") those that are asked; all, where none of them is."""
    return [name for name in names if name.startswith(f"{asked_by}->")] or list(names)
