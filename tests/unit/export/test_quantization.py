"""Quantised graphs against the same arithmetic in NumPy."""

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from clipworks.export.graph_editor import GraphEditor
from clipworks.export.input_ranges import observe_ranges
from clipworks.export.quantization import (
    linear_layers,
    quantize_columns,
    quantize_dynamic,
    quantize_static,
)

random = np.random.default_rng(0)
WEIGHT = random.normal(size=(16, 6)).astype(np.float32)
SECOND = random.normal(size=(4, 6)).astype(np.float32)
BIAS = random.normal(size=6).astype(np.float32)
TABLE = random.normal(size=(9, 16)).astype(np.float32)
X = random.normal(size=(5, 16)).astype(np.float32) + 0.5


def layers_model():
    """y = (x W + b) V', the second product as Gemm."""
    nodes = [
        helper.make_node("MatMul", ["x", "W"], ["product"]),
        helper.make_node("Add", ["product", "b"], ["sum"]),
        helper.make_node("Gemm", ["sum", "V"], ["y"], transB=1),
    ]
    return _model(nodes, {"W": WEIGHT, "b": BIAS, "V": SECOND}, TensorProto.FLOAT, [5, 16])


def _model(nodes, arrays, dtype, shape):
    value = helper.make_tensor_value_info
    tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    inputs = [value("x", dtype, shape)]
    outputs = [value("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", inputs, outputs, tensors)
    opsets = [helper.make_opsetid("", 20)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def run(graph, x=X):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(graph.model().SerializeToString(), options).run(None, {"x": x})[0]


def rounded_weight(weight):
    scale = np.abs(weight).max(axis=0) / 127
    return np.rint(weight / scale) * scale


def rounded_input(x, low, high):
    low, high = min(low, 0), max(high, 0)
    scale = (high - low) / 255
    zero = np.rint(-low / scale)
    return (np.clip(np.rint(x / scale) + zero, 0, 255) - zero) * scale


def expected(ranges=None):
    seen = ranges or {"x": (X.min(), X.max())}
    first = rounded_input(X, *seen["x"]) @ rounded_weight(WEIGHT) + BIAS
    seen = ranges or {"sum": (first.min(), first.max())}
    return rounded_input(first, *seen["sum"]) @ rounded_weight(SECOND.T)


def test_columns_are_rounded_to_the_nearest_step():
    weight = np.concatenate([WEIGHT, np.zeros((16, 1), np.float32)], axis=1)
    numbers, scale = quantize_columns(weight)
    assert numbers.dtype == np.int8
    assert np.abs(numbers).max(axis=0).tolist() == [127] * 6 + [0]
    assert (np.abs(numbers * scale - weight) <= scale / 2 * 1.001).all()


def test_layers_are_found_with_their_weights_upright():
    layers = linear_layers(GraphEditor(layers_model()))
    assert [(one.name, one.source) for one in layers] == [("product", "x"), ("y", "sum")]
    np.testing.assert_array_equal(layers[1].weight, SECOND.T)


def test_dynamic_is_the_arithmetic_of_the_paper():
    graph = GraphEditor(layers_model())
    quantize_dynamic(graph)
    kinds = [node.op_type for node in graph.model().graph.node]
    assert kinds == ["DynamicQuantizeMatMul"] * 2  # the bias is inside
    np.testing.assert_allclose(run(graph), expected(), atol=2e-2)
    floats = (X @ WEIGHT + BIAS) @ SECOND.T
    assert 1e-3 < np.abs(run(graph) - floats).max() < 0.5


def test_static_is_the_arithmetic_of_the_paper(tmp_path):
    ranges = observe_ranges(GraphEditor(layers_model()), [X], tmp_path)
    assert ranges["x"] == pytest.approx((X.min(), X.max()))
    assert list(tmp_path.iterdir()) == []
    graph = GraphEditor(layers_model())
    quantize_static(graph, ranges)
    np.testing.assert_allclose(run(graph), expected(ranges), atol=2e-2)


def test_symmetric_rounds_around_0():
    graph = GraphEditor(layers_model())
    quantize_static(graph, {"x": (-1.0, 3.0), "sum": (-100.0, 100.0)}, symmetric=True, keep={"y"})
    first = np.clip(np.rint(X / (3 / 127)), -128, 127) * (3 / 127) @ rounded_weight(WEIGHT) + BIAS
    np.testing.assert_allclose(run(graph), first @ SECOND.T, atol=1e-2)
    zeros = [node.input[2] for node in graph.model().graph.node if "Linear" in node.op_type]
    assert len(zeros) == 3
    assert all(
        graph.arrays[zero].dtype == np.int8 and not graph.arrays[zero].any() for zero in zeros
    )


def test_a_static_range_cuts_off_what_lies_beyond(tmp_path):
    graph = GraphEditor(layers_model())
    narrow = {"x": (-0.1, 0.1), "sum": (-100.0, 100.0)}
    quantize_static(graph, narrow, keep={"y"})
    first = np.clip(rounded_input(X, -0.1, 0.1), -0.1, 0.1) @ rounded_weight(WEIGHT) + BIAS
    np.testing.assert_allclose(run(graph), first @ SECOND.T, atol=1e-2)


@pytest.mark.parametrize("kept", ["product", "y"])
def test_layers_that_are_kept_stay_exact(kept):
    graph = GraphEditor(layers_model())
    quantize_dynamic(graph, keep={"product", "y"})
    np.testing.assert_allclose(run(graph), (X @ WEIGHT + BIAS) @ SECOND.T, atol=1e-4)
    graph = GraphEditor(layers_model())
    quantize_dynamic(graph, keep={kept})
    assert len([n for n in graph.nodes if n.op_type == "DynamicQuantizeMatMul"]) == 1


def test_the_table_of_tokens_is_rounded_row_by_row():
    nodes = [helper.make_node("Gather", ["table", "x"], ["y"])]
    ids = np.array([[0, 8], [3, 3]])
    graph = GraphEditor(_model(nodes, {"table": TABLE}, TensorProto.INT64, [2, 2]))
    quantize_dynamic(graph)
    np.testing.assert_allclose(run(graph, ids), rounded_weight(TABLE.T).T[ids], atol=1e-6)
    stored = {t.name: numpy_helper.to_array(t) for t in graph.model().graph.initializer}
    assert sorted(a.dtype.name for a in stored.values()) == ["float32", "int8"]
