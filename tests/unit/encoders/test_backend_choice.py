import json

import numpy as np
import pytest

import clipworks
from clipworks.devices import Cpu
from clipworks.encoders import backend_choice, backend_probe
from clipworks.encoders.backend_choice import (
    BackendChoice,
    Measurement,
    choose_backend,
    choose_from,
    recall_choice,
)
from clipworks.encoders.backend_table import BACKEND_FACTS, list_candidates
from clipworks.encoders.bundle import Bundle, read_bundle
from clipworks.errors import SettingsError


@pytest.fixture
def bundle(tiny_bundle_folder, monkeypatch):
    monkeypatch.delenv("CLIPWORKS_BACKEND", raising=False)
    return read_bundle(tiny_bundle_folder, check_hashes=False)


@pytest.fixture
def measured(monkeypatch):
    """The backends that were measured; OpenVINO wins."""
    asked = []

    def measure(bundle, backend, device, precision):
        asked.append(backend)
        seconds = 0.01 if backend == "openvino" else 0.02
        return Measurement(backend, 0.5, {"1": seconds, "16": seconds})

    monkeypatch.setattr(backend_choice, "_measure", measure)
    monkeypatch.setattr(backend_choice, "list_candidates", lambda *_: ["onnx", "openvino"])
    return asked


def times(backend, *seconds):
    return Measurement(backend, 1.0, dict(zip(("1", "16"), seconds, strict=False)))


def test_one_candidate_is_not_measured(bundle, measured, monkeypatch):
    monkeypatch.setattr(backend_choice, "list_candidates", lambda *_: ["onnx"])
    assert choose_backend(bundle).backend == "onnx"
    assert measured == []


def test_the_fastest_is_measured_once_and_remembered(bundle, measured):
    assert recall_choice(bundle) is None
    told = []
    choice = choose_backend(bundle, tell=told.append)
    assert (choice.backend, measured) == ("openvino", ["onnx", "openvino"])
    assert "onnx, openvino" in told[0]
    assert choose_backend(bundle, tell=told.append) == recall_choice(bundle) == choice
    assert len(told) == 1
    assert len(measured) == 2
    choose_backend(bundle, remeasure=True)
    assert len(measured) == 4


def test_another_version_or_precision_is_measured_anew(bundle, measured, monkeypatch):
    choose_backend(bundle)
    assert recall_choice(bundle, precision="bf16") is None
    monkeypatch.setattr(backend_choice, "describe_cpu", lambda: Cpu("other", 64, ()))
    assert recall_choice(bundle) is None


def test_a_damaged_memory_is_measured_anew(bundle, measured):
    choose_backend(bundle)
    (kept,) = (backend_choice.cache_folder() / "backends").iterdir()
    kept.write_text("{")
    assert recall_choice(bundle) is None
    assert choose_backend(bundle).backend == "openvino"


def test_when_all_fail_nothing_is_remembered(bundle, measured, monkeypatch):
    monkeypatch.setattr(
        backend_choice, "_measure", lambda bundle, name, *_: Measurement(name, error="no GPU")
    )
    assert choose_backend(bundle).backend == "onnx"
    assert recall_choice(bundle) is None


def test_the_variable_settles_it(bundle, measured, monkeypatch):
    monkeypatch.setenv("CLIPWORKS_BACKEND", "torch")
    assert choose_backend(bundle).backend == "torch"
    monkeypatch.setenv("CLIPWORKS_BACKEND", "abacus")
    with pytest.raises(SettingsError, match="CLIPWORKS_BACKEND=abacus"):
        choose_backend(bundle)
    assert measured == []


@pytest.mark.parametrize(
    ("measurements", "chosen"),
    [
        ((times("onnx", 1.0, 1.0), times("openvino", 0.5, 0.5)), "openvino"),
        ((times("onnx", 1.0, 1.0), times("openvino", 0.97, 0.97)), "onnx"),
        ((times("onnx", 1.0, 1.0), times("openvino", 0.2, 8.0)), "onnx"),
        ((Measurement("onnx", error="broken"), times("torch", 9.0, 9.0)), "torch"),
        ((times("onnx", 1.0, 1.0), Measurement("openvino", error="broken")), "onnx"),
        ((Measurement("onnx", error="a"), Measurement("openvino", error="b")), "onnx"),
        ((times("onnx", 1.0, 0.1), times("openvino", 0.5)), "openvino"),
    ],
)
def test_who_wins(measurements, chosen):
    choice = choose_from(measurements)
    assert choice.backend == chosen
    assert choice.measurements == measurements
    assert choice.reason


def test_candidates_fit_the_device_and_the_bundle(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(type(BACKEND_FACTS["onnx"]), "installed", True)
    assert list_candidates(bundle, "cpu") == ["onnx", "openvino", "torch"]
    assert list_candidates(bundle, "cuda") == ["onnx", "torch"]
    assert list_candidates(bundle, "coreml") == ["onnx"]
    assert list_candidates(bundle, "grpc://host:8001") == ["kserve"]
    without_weights = Bundle(tmp_path, bundle.card)
    assert list_candidates(without_weights, "cpu") == ["onnx", "openvino"]


def test_a_device_that_nothing_runs_on_is_refused(bundle):
    with pytest.raises(SettingsError, match=r"device 'abacus'.*http://host:8000"):
        clipworks.load(bundle, backend="auto", device="abacus")


def test_a_candidate_runs_in_a_process_of_its_own(bundle):
    found = backend_choice._measure(bundle, "onnx", "cpu", None)
    assert not found.error
    assert set(found.seconds_per_image) == {"1", "16"}
    assert all(0 < seconds < 60 for seconds in found.seconds_per_image.values())


def test_a_candidate_that_fails_is_skipped_and_says_why(bundle, monkeypatch):
    refused = backend_probe.measure(
        {"folder": str(bundle.folder), "backend": "onnx", "device": "cpu", "precision": "bf16"}
    )
    assert "onnx on cpu computes in fp32" in refused["error"]
    monkeypatch.setattr(backend_choice.sys, "executable", "/bin/false")
    assert "ended with code 1" in backend_choice._measure(bundle, "onnx", "cpu", None).error


def test_a_large_batch_that_would_take_too_long_is_left_out(monkeypatch):
    class Slow:
        def encode_images(self, pixels):
            return np.zeros((len(pixels), 2))

    monkeypatch.setattr(backend_probe, "best_time", lambda work: 0.5 * len(work()))
    assert backend_probe._time_batches(Slow(), np.zeros((16, 3, 2, 2))) == {"1": 0.5}


def test_load_takes_what_auto_means(bundle, monkeypatch):
    monkeypatch.setattr(
        "clipworks.encoders.loading.choose_backend",
        lambda *_, **__: BackendChoice("onnx", "because"),
    )
    assert clipworks.load(bundle, num_threads=1).encoder.backend == "onnx (cpu, fp32)"


def test_a_choice_is_json(bundle, measured):
    choose_backend(bundle)
    (kept,) = (backend_choice.cache_folder() / "backends").iterdir()
    content = json.loads(kept.read_text())
    assert (content["model"], content["backend"]) == ("tiny", "openvino")
