"""What can be said of TensorRT without a GPU: names of engines, profiles, and the calls made."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from clipworks.encoders.backend_table import BACKEND_FACTS, BACKENDS
from clipworks.encoders.tensorrt_engine import (
    BatchProfile,
    build_engine,
    engine_path,
    timing_cache_path,
)
from clipworks.errors import BundleError, MissingExtraError, SettingsError

KEY = {
    "gpu": "NVIDIA L4",
    "tensorrt_version": "10.9.0",
    "precision": "fp16",
    "profile": BatchProfile(),
}


@pytest.mark.parametrize(
    "change",
    [
        {"gpu": "NVIDIA T4"},
        {"tensorrt_version": "10.9.1"},
        {"precision": "fp32"},
        {"profile": BatchProfile(1, 8, 64)},
    ],
)
def test_whatever_makes_another_engine_gives_another_file(change):
    path = engine_path("0123", "image", **KEY)
    assert path == engine_path("0123", "image", **KEY)
    assert path != engine_path("0123", "image", **{**KEY, **change})
    assert path.name.startswith("0123-image-fp16-")
    assert path != engine_path("0123", "text", **KEY)
    assert timing_cache_path("a", "10") != timing_cache_path("b", "10")


@pytest.mark.parametrize("sizes", [(0, 1, 2), (2, 1, 3), (1, 4, 3)])
def test_batch_sizes_go_up(sizes):
    with pytest.raises(SettingsError, match="1 <= min <= opt <= max"):
        BatchProfile(*sizes)


def build(tmp_path, **changes):
    settings = {
        "out": tmp_path / "image.plan",
        "precision": "fp16",
        "profile": BatchProfile(1, 8, 32),
        "timing_cache": tmp_path / "timing.cache",
        "context_length": 77,
    }
    build_engine(tmp_path / "image.onnx", **{**settings, **changes})


@pytest.mark.skipif(BACKEND_FACTS["tensorrt"].installed, reason="TensorRT is installed here")
def test_without_tensorrt_there_is_a_pip_line(tmp_path):
    with pytest.raises(MissingExtraError, match=r"pip install 'clipworks\[tensorrt\]'"):
        build(tmp_path)
    with pytest.raises(MissingExtraError, match=r"pip install 'clipworks\[tensorrt\]'"):
        BACKENDS.load("tensorrt")


def test_no_such_precision(tmp_path):
    with pytest.raises(SettingsError, match="precision 'fp8'"):
        build(tmp_path, precision="fp8")


class Recorder:
    """Stands for a TensorRT object: it notes the calls on it."""

    def __init__(self, calls, **answers):
        self._calls, self._answers = calls, answers

    def __getattr__(self, name):
        def call(*arguments, **named):
            self._calls.append((name, *arguments, *named.values()))
            return self._answers.get(name)

        return call


def fake_tensorrt(calls, *, parses=True, plan=b"engine", name="pixels", shape=(-1, 3, 16, 16)):
    inputs = [SimpleNamespace(name=name, shape=shape)]
    network = SimpleNamespace(num_inputs=1, get_input=inputs.__getitem__)
    cache = Recorder(calls, serialize=b"times")
    config = Recorder(calls, create_timing_cache=cache, get_timing_cache=cache)
    answers = {
        "create_network": network,
        "create_builder_config": config,
        "create_optimization_profile": Recorder(calls),
        "build_serialized_network": plan,
    }
    parser = Recorder(calls, parse_from_file=parses, get_error=Recorder(calls, desc="a bad node"))
    parser.num_errors = 1
    flags = SimpleNamespace(FP16="FP16", BF16="BF16", INT8="INT8", TF32="TF32")

    class ILogger:
        INTERNAL_ERROR, ERROR = 0, 1

    return SimpleNamespace(
        ILogger=ILogger,
        Builder=lambda logger: Recorder(calls, **answers),
        OnnxParser=lambda network, logger: parser,
        BuilderFlag=flags,
    )


@pytest.fixture
def calls(monkeypatch):
    noted = []
    monkeypatch.setitem(sys.modules, "tensorrt", fake_tensorrt(noted))
    return noted


@pytest.mark.parametrize(
    ("precision", "flags"), [("fp32", []), ("fp16", ["FP16"]), ("int8", ["INT8", "FP16"])]
)
def test_what_tensorrt_is_told(tmp_path, calls, precision, flags):
    build(tmp_path, precision=precision)
    assert ("parse_from_file", str(tmp_path / "image.onnx")) in calls
    sizes = [(n, 3, 16, 16) for n in (1, 8, 32)]
    assert ("set_shape", "pixels", *sizes) in calls
    assert [call[1] for call in calls if call[0] == "set_flag"] == flags
    assert ("clear_flag", "TF32") in calls
    assert (tmp_path / "image.plan").read_bytes() == b"engine"


def test_texts_are_as_long_as_the_context(tmp_path, monkeypatch):
    calls = []
    fake = fake_tensorrt(calls, name="tokens", shape=(-1, -1))
    monkeypatch.setitem(sys.modules, "tensorrt", fake)
    build(tmp_path)
    assert ("set_shape", "tokens", (1, 77), (8, 77), (32, 77)) in calls


def test_the_timing_cache_goes_on(tmp_path, calls):
    build(tmp_path)
    assert ("create_timing_cache", b"") in calls
    calls.clear()
    build(tmp_path)
    assert ("create_timing_cache", b"times") in calls


@pytest.mark.parametrize(
    ("failure", "message"), [({"parses": False}, "a bad node"), ({"plan": None}, "cannot build")]
)
def test_what_tensorrt_cannot_do_leaves_nothing(tmp_path, monkeypatch, failure, message):
    monkeypatch.setitem(sys.modules, "tensorrt", fake_tensorrt([], **failure))
    with pytest.raises(BundleError, match=message):
        build(tmp_path)
    assert list(Path(tmp_path).iterdir()) == []
