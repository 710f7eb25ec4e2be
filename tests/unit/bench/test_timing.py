import json
import subprocess
import sys

import numpy as np
import pytest

from clipworks.bench.timing import answer_order, time_batches


def test_batches_are_full_and_come_round(monkeypatch):
    seen = []
    latencies = time_batches(seen.append, np.arange(10), 4, seconds=0)
    assert [batch.tolist() for batch in seen] == [[0, 1, 2, 3], [4, 5, 6, 7], [0, 1, 2, 3]]
    assert len(latencies) == 3 and all(ms > 0 for ms in latencies)


def test_measuring_goes_on_as_long_as_was_asked():
    def slow(batch):
        sum(range(20_000))

    latencies = time_batches(slow, np.arange(4), 4, seconds=0.2)
    assert sum(latencies) > 150 and len(latencies) > 3


def test_latencies_are_milliseconds(monkeypatch):
    clock = iter([0.0, 0.0, 1.0, 1.0, 3.0, 3.0, 6.0, 9.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    assert time_batches(lambda batch: None, np.arange(2), 2, seconds=0) == [1000, 2000, 3000]


def test_an_order_is_answered_by_one_line_and_the_rows_of_all_inputs(tmp_path, monkeypatch, capsys):
    inputs = np.arange(14, dtype=np.float32).reshape(7, 2)
    np.save(tmp_path / "in.npy", inputs)
    order = {
        "tower": "image",
        "inputs": str(tmp_path / "in.npy"),
        "outputs": str(tmp_path / "out.npy"),
        "batch_size": 3,
        "seconds": 0,
        "num_threads": 1,
        "encoder": {"bundle": "somewhere"},
    }
    monkeypatch.setattr(sys, "argv", ["run", json.dumps(order)])
    asked = []

    def open_encoder(given):
        asked.append(given.encoder)
        return "a runtime", lambda batch: 2 * batch

    answer_order(open_encoder)
    result = json.loads(capsys.readouterr().out)
    assert asked == [{"bundle": "somewhere"}]
    assert result["runtime"] == "a runtime" and len(result["latencies_ms"]) == 3
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), 2 * inputs)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a parent's memory may count")
def test_peak_memory_is_this_processs_own():
    held = np.ones(50_000_000)  # 400 MB
    code = (
        "import numpy; numpy.ones(8_000_000); "  # 64 MB
        "from clipworks.bench.timing import peak_memory_bytes; print(peak_memory_bytes())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 64_000_000 < int(done.stdout) < held.nbytes
