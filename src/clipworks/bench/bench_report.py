"""What the rounds say: medians, spreads, and how far the embeddings are from the reference's.

Axes: row (pictures or texts), dim (width of the joint space).
"""

from __future__ import annotations

import csv
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np

from clipworks.bench.rounds import HeatResults
from clipworks.bench.timing import Tower
from clipworks.export.parity import row_cosines
from clipworks.files import atomic_path


@dataclass(frozen=True)
class BenchRow:
    """One contender on one tower at one batch size.

    Attributes:
        model: its name.
        backend: the runtime.
        precision: what it computes in.
        tower: `image` or `text`.
        batch_size: rows in a forward pass.
        rows_per_s: the median over the rounds of each round's median pace.
        slowest_rows_per_s: the slowest round's.
        fastest_rows_per_s: the fastest round's.
        ratio: `rows_per_s` over that of the first contender at this tower and batch size.
        p50_ms: median latency of a batch over all rounds.
        p90_ms: 90th percentile of it.
        p99_ms: 99th percentile of it.
        load_s: median seconds until the tower is ready, imports not counted.
        peak_memory_bytes: median of the processes' peaks.
        min_cosine: the lowest cosine of a row to the reference's row; None without a reference of
            the same width.
        mean_cosine: the mean one.
        accuracy: zero-shot, 0..1, of both towers at any batch size; None without labels.
        error: why it could not be measured; all figures are 0 then.
    """

    model: str
    backend: str
    precision: str
    tower: Tower
    batch_size: int
    rows_per_s: float = 0.0
    slowest_rows_per_s: float = 0.0
    fastest_rows_per_s: float = 0.0
    ratio: float = 0.0
    p50_ms: float = 0.0
    p90_ms: float = 0.0
    p99_ms: float = 0.0
    load_s: float = 0.0
    peak_memory_bytes: int = 0
    min_cosine: float | None = None
    mean_cosine: float | None = None
    accuracy: float | None = None
    error: str = ""


def make_report(
    results: Sequence[HeatResults], accuracies: Mapping[str, float] | None = None
) -> list[BenchRow]:
    """Sum up the rounds; the first heat of each tower is the reference of speed and accuracy.

    Args:
        results: of every heat.
        accuracies: by the contenders' labels, where the pictures have labels.
    """
    rows = []
    for one in results:
        same_tower = [r for r in results if r.heat.tower == one.heat.tower]
        same_size = [r for r in same_tower if r.heat.batch_size == one.heat.batch_size]
        row = _sum_up(one, pace_of=same_size[0], exact=same_tower[0])
        rows.append(replace(row, accuracy=(accuracies or {}).get(one.heat.contender.label)))
    return rows


def _sum_up(results: HeatResults, *, pace_of: HeatResults, exact: HeatResults) -> BenchRow:
    heat = results.heat
    who = heat.contender
    names = (who.model, who.backend, who.precision, heat.tower, heat.batch_size)
    if not results.runs:
        return BenchRow(*names, error=results.error)
    paces = _paces(results)
    latencies = np.concatenate([run.latencies_ms for run in results.runs])
    p50, p90, p99 = (float(value) for value in np.percentile(latencies, [50, 90, 99]))
    cosines = _cosines(results.embeddings, exact.embeddings)
    reference = _paces(pace_of)
    return BenchRow(
        *names,
        rows_per_s=statistics.median(paces),
        slowest_rows_per_s=min(paces),
        fastest_rows_per_s=max(paces),
        ratio=statistics.median(paces) / statistics.median(reference) if reference else 0.0,
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        load_s=statistics.median(run.load_s for run in results.runs),
        peak_memory_bytes=int(statistics.median(run.peak_memory_bytes for run in results.runs)),
        min_cosine=None if cosines is None else float(cosines.min()),
        mean_cosine=None if cosines is None else float(cosines.mean()),
    )


def _paces(results: HeatResults) -> list[float]:
    """Rows a second, round by round; by the median batch, which a passing hiccup leaves alone."""
    size = results.heat.batch_size
    return [1e3 * size / statistics.median(run.latencies_ms) for run in results.runs]


def _cosines(rows: np.ndarray | None, reference: np.ndarray | None) -> np.ndarray | None:
    if rows is None or reference is None or rows.shape != reference.shape:
        return None
    return row_cosines(rows, reference)


def pareto_front(rows: Sequence[BenchRow]) -> list[BenchRow]:
    """The rows that no other row beats in both pace and accuracy, the slowest first."""
    front: list[BenchRow] = []
    best = -1.0
    for row in sorted(rows, key=lambda row: (-row.rows_per_s, -(row.min_cosine or 0.0))):
        if row.min_cosine is not None and row.min_cosine > best:
            best = row.min_cosine
            front.append(row)
    return front[::-1]


def write_csv(path: Path, rows: Sequence[BenchRow]) -> None:
    """Write the rows as a table for programs."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(BenchRow)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
