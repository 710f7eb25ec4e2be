"""What was measured of an index: how well and how fast it answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from clipworks.search.index_settings import AUTO


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
        asked_kind: of index: one of KINDS, or `auto`.
        build_s: seconds that building took, measuring not counted.
        queries: by kind ("text->image").
        note: what could not be measured, and why.
    """

    effort: int
    refinement: int
    target: float
    asked_kind: str = AUTO
    server: str = ""
    size_bytes: int = 0
    build_s: float = 0.0
    queries: dict[str, QueryMeasure] = field(default_factory=dict)
    note: str = ""

    @property
    def reaches_target(self) -> bool:
        """Whether all kinds of queries find as much as was asked for."""
        return all(each.recall_at_10 >= self.target for each in self.queries.values())
