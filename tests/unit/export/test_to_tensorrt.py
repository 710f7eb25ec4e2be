"""What of TensorRT's export can be tested without a GPU: which engines are asked for, and how."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from clipworks.encoders.bundle import read_bundle
from clipworks.encoders.tensorrt_engine import BatchProfile
from clipworks.errors import BundleError, SettingsError
from clipworks.export import to_tensorrt
from clipworks.export.to_tensorrt import parse_batches, write_engines, write_plan


@pytest.fixture
def built(monkeypatch):
    """Takes TensorRT's place; lists what was asked of it."""
    calls = []

    def build(graph, *, out, precision, profile, timing_cache, context_length):
        assert context_length == 12
        calls.append((graph.name, precision, profile, timing_cache))
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(b"plan")

    real = to_tensorrt.require
    fake = SimpleNamespace(__version__="10.9.0")
    monkeypatch.setattr(to_tensorrt, "build_engine", build)
    monkeypatch.setattr(
        to_tensorrt, "require", lambda name, why: fake if name == "tensorrt" else real(name, why)
    )
    return calls


def quantized_graph(path, *, paired: bool = True, zero_point: int = 0, dtype=np.int8) -> None:
    scale = numpy_helper.from_array(np.array(0.1, np.float32), "scale")
    zero = numpy_helper.from_array(np.array(zero_point, dtype), "zero")
    nodes = [helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"])]
    if paired:
        nodes.append(helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]))
    kind = TensorProto.FLOAT if paired else helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        nodes, "tower",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y" if paired else "q", kind, ["n", 4])],
        [scale, zero],
    )  # fmt: skip
    onnx.save(helper.make_model(graph), path)


def test_both_towers_and_a_card(tiny_bundle_folder, tmp_path, built):
    profile = BatchProfile(1, 4, 8)
    bundle = read_bundle(tiny_bundle_folder)
    plans = write_engines(bundle, tmp_path / "engines", precision="bf16", profile=profile)
    assert [plan.name for plan in plans] == ["image.plan", "text.plan"]
    assert all(plan.read_bytes() == b"plan" for plan in plans)
    assert [call[:3] for call in built] == [
        ("image.onnx", "bf16", profile), ("text.onnx", "bf16", profile),
    ]  # fmt: skip
    assert len({call[3] for call in built}) == 1, "one build's timings help the next"
    card = json.loads((tmp_path / "engines" / "engines.json").read_text())
    assert card == {
        "model": "tiny",
        "fingerprint": bundle.card.fingerprint,
        "precision": "bf16",
        "batches": {"min": 1, "opt": 4, "max": 8},
        "tensorrt": "10.9.0",
    }


def test_int8_wants_a_graph_with_both_ends_of_the_quantisation(tiny_bundle_folder, tmp_path, built):
    plan, profile = tmp_path / "plan", BatchProfile(1, 4, 8)
    quantized_graph(tmp_path / "qdq.onnx")
    write_plan(tmp_path / "qdq.onnx", plan, precision="int8", profile=profile, context_length=12)
    assert built[0][:2] == ("qdq.onnx", "int8")
    quantized_graph(tmp_path / "q.onnx", paired=False)
    with pytest.raises(BundleError, match="has no DequantizeLinear: TensorRT"):
        write_plan(tmp_path / "q.onnx", plan, precision="int8", profile=profile, context_length=12)
    with pytest.raises(BundleError, match="has no DequantizeLinear and no QuantizeLinear"):
        write_plan(
            tiny_bundle_folder / "text.onnx",
            plan,
            precision="int8",
            profile=profile,
            context_length=12,
        )
    assert len(built) == 1


@pytest.mark.parametrize(("zero_point", "dtype"), [(3, np.int8), (0, np.uint8), (128, np.uint8)])
def test_int8_wants_zero_points_of_0(tmp_path, built, zero_point, dtype):
    quantized_graph(tmp_path / "qdq.onnx", zero_point=zero_point, dtype=dtype)
    with pytest.raises(BundleError, match="zero points that are not 0, or not int8"):
        write_plan(
            tmp_path / "qdq.onnx",
            tmp_path / "plan",
            precision="int8",
            profile=BatchProfile(),
            context_length=12,
        )
    assert built == []


def test_an_unknown_precision_is_refused_before_anything_is_built(tmp_path, built):
    with pytest.raises(SettingsError, match="precision 'fp4': expected one of fp32, fp16"):
        write_plan(
            tmp_path / "x",
            tmp_path / "y",
            precision="fp4",
            profile=BatchProfile(1, 1, 1),
            context_length=12,
        )
    assert built == []


def test_batches_are_three_numbers_in_order():
    assert parse_batches("1,16,64") == BatchProfile(1, 16, 64)
    for text in ("16", "1,16", "1,x,3", ""):
        with pytest.raises(SettingsError, match="expected three numbers, as in 1,16,64"):
            parse_batches(text)
    with pytest.raises(SettingsError, match="min <= opt <= max"):
        parse_batches("8,4,16")
