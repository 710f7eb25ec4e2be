import json

import pytest

from clipworks.cli.doctor import doctor
from clipworks.encoders import backend_choice, machine_report
from clipworks.encoders.backend_choice import Measurement
from clipworks.encoders.backend_table import BACKEND_FACTS
from clipworks.errors import SettingsError, UnknownModelError
from tests.support.commands import run


def report(*arguments):
    return json.loads(run(doctor, "--json", *arguments).stdout)


def test_the_report_is_json():
    found = report()
    assert found["cpu"]["cores"] >= 1
    assert found["cpu"]["model"]
    backends = {one["name"]: one for one in found["backends"]}
    assert set(backends) == set(BACKEND_FACTS)
    assert backends["onnx"]["devices"][0] == "cpu"
    assert backends["tensorrt"]["pip"] == "pip install 'clipworks[tensorrt]'"
    assert {one["name"] for one in found["extras"]} >= {"torch", "openvino", "kserve", "heif"}
    assert found["cache"]["size_bytes"] == 0
    assert found["hub"]["endpoint"].startswith("http")
    assert "choice" not in found


def test_the_tables_are_for_people(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example")
    output = run(doctor).stdout
    for word in ("processor", "backend", "onnx", "mirror.example"):
        assert word in output


def test_a_broken_backend_says_why(monkeypatch):
    def fail():
        raise ImportError("libabacus.so.1: cannot open shared object file")

    monkeypatch.setattr(machine_report.DEVICE_LISTS, "load", lambda name: fail)
    found = {one["name"]: one for one in report()["backends"]}
    assert found["onnx"]["problem"].startswith("libabacus")
    assert "broken: libabacus" in run(doctor).stdout


def test_what_auto_means_and_why(monkeypatch):
    monkeypatch.delenv("CLIPWORKS_BACKEND", raising=False)
    monkeypatch.setattr(backend_choice, "list_candidates", lambda *_: ["onnx", "openvino"])
    speeds = {
        "onnx": Measurement("onnx", 0.5, {"1": 0.02, "16": 0.01}),
        "openvino": Measurement("openvino", error="the moon is full"),
    }
    monkeypatch.setattr(backend_choice, "_measure", lambda bundle, name, *_: speeds[name])
    assert report("pictograms")["choice"] is None
    assert "not measured yet" in run(doctor, "pictograms").stdout
    output = run(doctor, "pictograms", "--measure").stdout
    for words in ("auto means onnx", "50.0/s", "100.0/s", "the moon is full"):
        assert words in output
    choice = report("pictograms")["choice"]
    assert (choice["model"], choice["backend"]) == ("pictograms", "onnx")
    assert choice["measurements"][0]["seconds_per_image"] == {"1": 0.02, "16": 0.01}


def test_what_it_does_not_do():
    with pytest.raises(SettingsError, match="--measure needs a model"):
        run(doctor, "--measure")
    with pytest.raises(UnknownModelError, match="clipworks pull ViT-B-32/openai"):
        run(doctor, "ViT-B-32/openai")
