"""The rewrites change a graph's shape and, up to rounding, none of its numbers."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from clipworks.export.graph_editor import GraphEditor
from clipworks.export.graph_rewrites import patches_as_matmul, pick_token_early

WIDTH, PATCH, SIDE, TOKENS = 8, 4, 12, 10
PIXELS = np.random.default_rng(0).normal(size=(3, 3, SIDE, SIDE)).astype(np.float32)
random = np.random.default_rng(1)


def tower(*, pads=(0, 0, 0, 0), bias=True, second_output=False):
    """Patches, a class token, one mixing of tokens, a residual MLP, the class token's row."""
    constants = {
        "kernel": random.normal(size=(WIDTH, 3, PATCH, PATCH)),
        "kernel_bias": random.normal(size=WIDTH),
        "class": random.normal(size=(3, 1, WIDTH)),
        "mix": random.normal(size=(TOKENS, TOKENS)),
        "up": random.normal(size=(WIDTH, 5)),
        "down": random.normal(size=(5, WIDTH)),
        "gain": random.normal(size=WIDTH),
    }
    arrays = {name: array.astype(np.float32) for name, array in constants.items()}
    arrays |= {"rows": np.array([0, WIDTH, -1]), "zero": np.array(0)}
    node = helper.make_node
    nodes = [
        node(
            "Conv", ["pixels", "kernel", *(["kernel_bias"] if bias else [])], ["conv"],
            kernel_shape=[PATCH] * 2, strides=[PATCH] * 2, pads=pads,
        ),
        node("Reshape", ["conv", "rows"], ["flat"]),
        node("Transpose", ["flat"], ["patches"], perm=[0, 2, 1]),
        node("Concat", ["class", "patches"], ["tokens"], axis=1),
        node("MatMul", ["mix", "tokens"], ["mixed"]),
        node("LayerNormalization", ["mixed", "gain"], ["norm"], axis=-1),
        node("MatMul", ["norm", "up"], ["hidden"]),
        node("Sigmoid", ["hidden"], ["gate"]),
        node("Mul", ["hidden", "gate"], ["active"]),
        node("MatMul", ["active", "down"], ["out"]),
        node("Add", ["mixed", "out"], ["stream"]),
        node("Gather", ["stream", "zero"], ["embeddings"], axis=1),
    ]  # fmt: skip
    value = helper.make_tensor_value_info
    outputs = [value("embeddings", TensorProto.FLOAT, [3, WIDTH])]
    if second_output:
        outputs.append(value("stream", TensorProto.FLOAT, [3, TOKENS, WIDTH]))
    graph = helper.make_graph(
        nodes, "tower", [value("pixels", TensorProto.FLOAT, [3, 3, SIDE, SIDE])], outputs,
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 20)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def run(model):
    onnx.checker.check_model(model, full_check=True)
    session = ort.InferenceSession(model.SerializeToString())
    return session.run(["embeddings"], {"pixels": PIXELS})[0]


def kinds(model):
    return Counter(node.op_type for node in model.graph.node)


@pytest.mark.parametrize("bias", [True, False])
def test_patches_become_rows_of_a_product(bias):
    model = tower(bias=bias)
    graph = GraphEditor(model)
    patches_as_matmul(graph)
    rewritten = graph.model()
    assert "Conv" in kinds(model)
    assert "Conv" not in kinds(rewritten)
    np.testing.assert_allclose(run(rewritten), run(model), atol=1e-4)


def test_a_convolution_with_a_border_stays():
    model = tower()
    for attribute in model.graph.node[0].attribute:
        if attribute.name == "pads":
            attribute.ints[:] = [1, 1, 1, 1]
    graph = GraphEditor(model)
    patches_as_matmul(graph)
    assert "Conv" in kinds(graph.model())


def test_the_mlp_runs_on_the_picked_token_alone():
    model = tower()
    graph = GraphEditor(model)
    pick_token_early(graph)
    rewritten = graph.model()
    gathers = [node for node in rewritten.graph.node if node.op_type == "Gather"]
    assert [node.input[0] for node in gathers] == ["mixed"]
    np.testing.assert_allclose(run(rewritten), run(model), atol=1e-5)


def test_what_the_caller_sees_is_still_made_of_all_tokens():
    graph = GraphEditor(tower(second_output=True))
    pick_token_early(graph)
    gathers = [node for node in graph.model().graph.node if node.op_type == "Gather"]
    assert [node.input[0] for node in gathers] == ["stream"]


def test_constants_are_prepared_and_what_nothing_needs_is_left_out():
    turned = numpy_helper.from_array(np.arange(6, dtype=np.float16).reshape(2, 3), "stored")
    spare = numpy_helper.from_array(np.zeros(4, np.float32), "spare")
    node = helper.make_node
    nodes = [
        node("Cast", ["stored"], ["wide"], to=TensorProto.FLOAT),
        node("Transpose", ["wide"], ["weight"], perm=[1, 0]),
        node("MatMul", ["x", "weight"], ["y"]),
        node("Neg", ["x"], ["unused"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "g",
        [value("x", TensorProto.FLOAT, [1, 3])], [value("y", TensorProto.FLOAT, [1, 2])],
        [turned, spare],
    )  # fmt: skip
    folded = GraphEditor(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]))
    model = folded.model()
    assert kinds(model) == {"MatMul": 1}
    assert [tensor.name for tensor in model.graph.initializer] == ["weight"]
    expected = np.array([[0, 3], [1, 4], [2, 5]], np.float32)
    np.testing.assert_array_equal(folded.arrays["weight"], expected)
