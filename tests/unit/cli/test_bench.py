import csv
import json
import shutil
import sys
from pathlib import Path

import pytest

import clipworks
from clipworks.bench.bench_report import BenchRow
from clipworks.cli.bench import bench, results_table
from clipworks.data.packaged_pictures import packaged_pictures
from clipworks.errors import SettingsError
from tests.support.commands import run

QUICK = ("--seconds", 0, "--rounds", 1, "--threads", 1)


def test_a_real_bundle_is_measured_against_itself(tiny_bundle_folder, tmp_path):
    result = run(
        bench, tiny_bundle_folder, "--batches", "2,4", "--json", "--out", tmp_path / "out", *QUICK
    )
    rows = json.loads(result.stdout)
    assert [(row["batch_size"], row["backend"]) for row in rows] == [(2, "onnx"), (4, "onnx")]
    for row in rows:
        assert row["min_cosine"] == pytest.approx(1, abs=1e-5) and row["error"] == ""
        assert row["rows_per_s"] > 0 and row["p50_ms"] <= row["p99_ms"]
        assert row["peak_memory_bytes"] > 10_000_000
    names = ["bench.csv", "bench.json", "bench_image.png", "bench_image.svg"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert json.loads((tmp_path / "out" / "bench.json").read_text()) == rows
    with (tmp_path / "out" / "bench.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2


def test_what_fails_is_named_and_the_rest_is_shown(tiny_bundle_folder):
    backends = ("--backends", "onnx,nosuch", "--batches", 1)
    result = run(bench, tiny_bundle_folder, *backends, *QUICK)
    assert "unknown encoder backend 'nosuch'" in result.stderr
    assert "failed" in result.stdout and "onnx" in result.stdout


def test_when_all_fail_so_does_the_command(tiny_bundle_folder):
    run(bench, tiny_bundle_folder, "--backends", "nosuch", "--batches", 1, *QUICK, exit_code=1)


def test_without_matplotlib_the_figures_alone_are_missing(
    tiny_bundle_folder, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    out = tmp_path / "out"
    result = run(bench, tiny_bundle_folder, "--batches", 1, "--out", out, *QUICK)
    assert "pip install 'clipworks[plots]'" in result.stderr
    assert sorted(path.name for path in out.iterdir()) == ["bench.csv", "bench.json"]


def test_labelled_folders_give_accuracy(tmp_path):
    """Compared with what `classify` says of the same pictures, one by one."""
    drawings = {Path(one).stem: Path(one) for one in packaged_pictures()}
    labels = ["apple", "banana", "car", "fish"]
    for label, shown in zip(labels, ["1f34e", "1f34c", "1f697", "1f697"], strict=True):
        (tmp_path / label).mkdir()
        shutil.copy(drawings[shown], tmp_path / label / f"1{drawings[shown].suffix}")
    rounds = ("--batches", "1,2", "--pictures", tmp_path)
    rows = json.loads(run(bench, "pictograms", *rounds, "--json", *QUICK).stdout)
    answers = clipworks.classify(sorted(tmp_path.glob("*/*")), labels)
    right = [one.label == label for one, label in zip(answers, labels, strict=True)]
    assert 0 < sum(right) < 4
    assert [row["accuracy"] for row in rows] == [sum(right) / 4] * 2
    shown = run(bench, "pictograms", *rounds, *QUICK).stdout
    assert "accuracy" in shown and f"{sum(right) / 4:.1%}" in shown
    backends = ("--backends", "nosuch,onnx", "--pictures", tmp_path, "--json")
    failed, ran = json.loads(run(bench, "pictograms", "--batches", 1, *backends, *QUICK).stdout)
    assert failed["accuracy"] is None and ran["accuracy"] == sum(right) / 4


@pytest.mark.parametrize("batches", ["0", "a", "1,-2", ","])
def test_batches_are_whole_numbers(batches, tiny_bundle_folder):
    with pytest.raises(SettingsError, match=r"expected"):
        run(bench, tiny_bundle_folder, "--batches", batches)


def test_towers_are_known_by_name(tiny_bundle_folder):
    with pytest.raises(SettingsError, match="image, text, both"):
        run(bench, tiny_bundle_folder, "--tower", "audio")


def test_every_column_has_its_figure():
    row = BenchRow(
        "m", "onnx", "fp32", "image", 8, 20.5, 19, 21, 1.25, 1, 2, 3, 0.5, 4_000_000, 1.0
    )
    table = results_table([row, row])
    figures = {str(column.header): next(iter(column.cells)) for column in table.columns}
    assert figures == {
        "batch": "8",
        "rows/s": "20.5",
        "ratio": "1.25",
        "p50 ms": "1.0",
        "p99 ms": "3.0",
        "load s": "0.50",
        "MB": "4",
        "cosine": "1.00000",
    }
