"""How well and how fast an index answers; and the least effort with which it answers well enough.

Recall@k is the share of the k rows nearest to a query that are among the k found. The cosine of a
find decides, not its number: where several rows are as near as the k-th, each of them is right.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from clipworks.search.embedding_rows import EmbeddingRows
from clipworks.search.held_out_queries import MAX_HITS, QuerySet
from clipworks.search.index import AbstractIndex, AbstractStoredIndex
from clipworks.search.index_measures import IndexMeasures, QueryMeasure, names_meant
from clipworks.search.matches import Matches
from clipworks.search.refined_index import RefinedIndex

K = 10
_REFINEMENTS = (0, 2, 4, 8, 16, 32, 64)
_TIMED = 100
_TUNED = 128  # queries are enough to choose by; what is chosen is checked with all
_STEPS = 128  # doubling begins at this share of the greatest effort
_STANDSTILL = 0.002  # a doubling that finds no more than this share more leads nowhere
_EQUAL = 1e-5
_WARMING = 20


@dataclass(frozen=True)
class Trial:
    """What an index is tried with.

    Attributes:
        rows: that it holds, exactly.
        sets: of queries.
        truths: what exact search answers to each set.
    """

    rows: EmbeddingRows
    sets: Sequence[QuerySet]
    truths: Sequence[Matches]

    def recall(self, index: AbstractIndex, number: int, k: int) -> float:
        """Recall@k of one set of queries."""
        queries = self.sets[number]
        found = queries.answers(index.search(queries.queries, k + 1), k)
        wanted = queries.answers(self.truths[number], k)
        shares = [
            _share(self.rows, query, got, best)
            for query, got, best in zip(queries.queries, found, wanted, strict=True)
        ]
        return float(np.mean(shares))

    def asked_by(self, queries: str) -> Trial:
        """The same with those queries alone that are meant: `image`, `text` or `both`."""
        meant = names_meant(queries, [each.name for each in self.sets])
        pairs = [
            (each, truth)
            for each, truth in zip(self.sets, self.truths, strict=True)
            if each.name in meant
        ]
        sets, truths = zip(*pairs, strict=True)
        return replace(self, sets=sets, truths=truths)

    def smaller(self) -> Trial:
        """The same with fewer queries, to choose by."""
        sets = [each.first(_TUNED) for each in self.sets]
        truths = [Matches(each.ids[:_TUNED], each.similarities[:_TUNED]) for each in self.truths]
        return replace(self, sets=sets, truths=truths)

    def is_satisfied(self, index: AbstractIndex, tuned: IndexMeasures) -> bool:
        """Whether an index finds as much as it was tuned to find."""
        return self.worst(_refined(index, self.rows, tuned.refinement)) >= tuned.target

    def worst(self, index: AbstractIndex) -> float:
        """The recall@10 of the queries that find least."""
        return min(self.recall(index, number, K) for number in range(len(self.sets)))


def tune(index: AbstractStoredIndex, trial: Trial, target: float) -> IndexMeasures:
    """Set an index to the fastest way of answering that finds as much as is asked for.

    The effort is found by halving, for two refinements: the least with which the target can be
    reached at all, and the next one, with which less effort may do. The quicker one stays.
    """
    best: tuple[float, int, int] | None = None
    furthest = (0.0, index.max_effort, 0)
    small = trial.smaller()
    for factor in _REFINEMENTS:
        effort, reached = _least_effort(index, small, target, factor)
        if reached < target:
            furthest = max(
                furthest, (round(reached, 2), effort, factor), key=lambda tried: tried[0]
            )
            continue
        index.set_effort(effort)
        timed = _undisturbed_ms(_refined(index, trial.rows, factor), trial.sets)
        is_second = best is not None
        if best is None or timed < best[0]:
            best = (timed, effort, factor)
        if is_second or index.max_effort == 1:
            break
    _, effort, factor = best or furthest
    index.set_effort(effort)
    while (
        best
        and effort < index.max_effort
        and trial.worst(_refined(index, trial.rows, factor)) < target
    ):
        effort = min(index.max_effort, effort + max(1, effort // 8))
        index.set_effort(effort)
    return IndexMeasures(effort=effort, refinement=factor, target=target)


def measure(index: AbstractIndex, trial: Trial, measures: IndexMeasures) -> IndexMeasures:
    """Measure an index as it is opened to answer, refinement and all."""
    queries = {}
    for number, each in enumerate(trial.sets):
        deep = trial.recall(index, number, MAX_HITS) if index.size > MAX_HITS else None
        times = _times_ms(index, each)
        queries[each.name] = QueryMeasure(
            recall_at_10=round(trial.recall(index, number, K), 4),
            recall_at_100=None if deep is None else round(deep, 4),
            p50_ms=round(float(np.median(times)), 3),
            p95_ms=round(float(np.percentile(times, 95)), 3),
            num_queries=len(each.queries),
            origin=each.origin,
        )
    return replace(measures, queries=queries)


def _least_effort(
    index: AbstractStoredIndex, trial: Trial, target: float, factor: int
) -> tuple[int, float]:
    """Double the effort until it does, then halve the way back; and the recall that it reaches.

    Where no effort does, the recall is below the target: what is missing was lost when the rows
    became codes, or lies where the index has no way to.
    """

    def recall(effort: int) -> float:
        index.set_effort(effort)
        return trial.worst(_refined(index, trial.rows, factor))

    low, before, high = 0, -1.0, max(1, index.max_effort // _STEPS)
    while (reached := recall(high)) < target:
        if high == index.max_effort or reached - before < _STANDSTILL:
            return high, reached
        low, before, high = high, reached, min(2 * high, index.max_effort)
    while high - low > max(1, high // 10):
        middle = (low + high) // 2
        low, high = (low, middle) if recall(middle) >= target else (middle, high)
    return high, target


def _refined(index: AbstractIndex, rows: EmbeddingRows, factor: int) -> AbstractIndex:
    return RefinedIndex(index, rows, factor) if factor else index


def _share(rows: EmbeddingRows, query: np.ndarray, found: np.ndarray, best: np.ndarray) -> float:
    if not len(best):
        return 1.0
    missed = np.setdiff1d(best, found)
    if not len(missed):
        return 1.0
    extra = np.setdiff1d(found, best)
    if not len(extra):
        return 1 - len(missed) / len(best)
    limit = (rows.take(best) @ query).min() - _EQUAL
    equals = int((rows.take(extra) @ query >= limit).sum())
    return 1 - max(0, len(missed) - equals) / len(best)


def _times_ms(index: AbstractIndex, each: QuerySet) -> list[float]:
    count = min(_TIMED, len(each.queries))
    for number in range(min(_WARMING, count)):
        index.search(each.queries[number : number + 1], K)
    times = []
    for number in range(count):
        begin = time.perf_counter()
        index.search(each.queries[number : number + 1], K)
        times.append((time.perf_counter() - begin) * 1e3)
    return times


def _undisturbed_ms(index: AbstractIndex, sets: Sequence[QuerySet]) -> float:
    """The quicker quarter's limit: what else the machine does would decide about a median."""
    return max(float(np.percentile(_times_ms(index, each), 25)) for each in sets)
