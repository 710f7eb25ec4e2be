import csv
from dataclasses import replace

import numpy as np
import pytest

from clipworks.bench.bench_report import BenchRow, make_report, pareto_front, write_csv
from clipworks.bench.contenders import Contender
from clipworks.bench.rounds import Heat, HeatResults
from clipworks.bench.timing import RunResult

ROW = BenchRow("m", "onnx", "fp32", "image", 8)


@pytest.fixture
def results(tmp_path):
    def make(name, batch_size, rounds, rows, tower="image"):
        outputs = tmp_path / f"{name}{batch_size}{tower}.npy"
        np.save(outputs, rows)
        heat = Heat(Contender(name, "onnx", "fp32"), tower, batch_size, tmp_path / "in", outputs)
        runs = [RunResult("r", 1.0 + i, ms, 100 * i) for i, ms in enumerate(rounds)]
        return HeatResults(heat, runs)

    return make


def test_figures_by_hand(results):
    exact, near = np.eye(2), np.array([[1.0, 0.0], [0.6, 0.8]])
    base = results("base", 4, [[100, 100, 100], [200, 200, 900], [50, 50, 50]], exact)
    fast = results("fast", 4, [[10, 10, 10]], near)
    first, second = make_report([base, fast])
    # 4 rows in 100, 200 and 50 ms
    assert (first.slowest_rows_per_s, first.rows_per_s, first.fastest_rows_per_s) == (20, 40, 80)
    assert (first.load_s, first.peak_memory_bytes, first.ratio) == (2.0, 100, 1.0)
    assert first.p50_ms == 100 and first.p99_ms == pytest.approx(844)  # NumPy's linear percentile
    assert (first.min_cosine, first.mean_cosine) == (1, 1)
    assert second.ratio == 10
    assert second.min_cosine == pytest.approx(0.8) and second.mean_cosine == pytest.approx(0.9)


def test_pace_is_compared_at_one_batch_size_and_accuracy_within_one_tower(results):
    rows = np.eye(2)
    given = [
        results("base", 1, [[10.0]], rows),
        results("base", 8, [[40.0]], rows),
        results("fast", 8, [[20.0]], rows[::-1]),
        results("fast", 8, [[20.0]], rows[::-1], tower="text"),
    ]
    report = make_report(given)
    assert [row.ratio for row in report] == [1, 1, 2, 1]
    assert [row.min_cosine for row in report] == [1, 1, 0, 1]


def test_other_widths_cannot_be_compared(results):
    base, other = results("a", 1, [[1.0]], np.eye(2)), results("b", 1, [[1.0]], np.eye(3))
    assert make_report([base, other])[1].min_cosine is None


def test_a_failure_keeps_its_row(results):
    base, failed = results("a", 1, [[1.0]], np.eye(2)), results("b", 1, [], np.eye(2))
    failed.error = "no such backend"
    assert make_report([base, failed])[1].error == "no such backend"
    assert make_report([failed, base])[1].ratio == 0


def test_the_front_has_what_nothing_beats():
    def row(pace, cosine):
        return replace(ROW, rows_per_s=pace, min_cosine=cosine)

    slow, worse, fast, unknown = row(1, 1.0), row(2, 0.9), row(3, 0.99), row(9, None)
    assert pareto_front([fast, unknown, worse, slow]) == [slow, fast]


def test_the_csv_has_every_field(tmp_path):
    write_csv(tmp_path / "t.csv", [replace(ROW, rows_per_s=2.5, error="a, b")])
    with (tmp_path / "t.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["rows_per_s"] == "2.5" and row["min_cosine"] == "" and row["error"] == "a, b"
