"""Rewrites that make a tower quicker and change nothing but rounding.

They use plain ONNX, so every runtime gains. Where a graph does not look as expected, it stays.

Axes: image, text (rows of a batch), patch, token, width (of the residual stream).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from clipworks.export.graph_editor import GraphEditor, attribute

# They work on each token by itself, so picking tokens may come before them.
_TOKENWISE = {
    "Add", "Div", "Erf", "Gelu", "LayerNormalization", "MatMul", "Mul", "Sigmoid", "Sub", "Tanh",
}  # fmt: skip


def speed_up(graph: GraphEditor) -> None:
    """Apply every rewrite."""
    pick_token_early(graph)
    patches_as_matmul(graph)


def patches_as_matmul(graph: GraphEditor) -> None:
    """Embed patches by one matrix product.

    The convolution's kernels do not overlap, so it is a product of cut pictures [image patch
    3*height*width] with a matrix. Runtimes are slow at such kernels, above all with int8.
    """
    consumers = graph.consumers()
    for conv in [node for node in graph.nodes if _cuts_patches(node, graph)]:
        after = _only_consumers(consumers, conv, ("Reshape", "Transpose"))
        if after is None or attribute(after[1], "perm") != [0, 2, 1]:
            continue
        _replace_conv(graph, conv, after)


def pick_token_early(graph: GraphEditor) -> None:
    """Compute the last block's output for the pooled token alone.

    Pooling takes one token of each row, by Gather or GatherND; what stands between the last
    attention and it treats tokens one by one. So the token is picked where attention ends, and
    of the last MLP's work one token's remains.
    """
    picks = [node for node in graph.nodes if _picks_token(node, graph)]
    if len(picks) != 1:
        return
    (pick,) = picks
    moved = _only_for(pick, graph)
    if not moved:
        return
    made_by_moved = {node.output[0] for node in moved}
    graph.drop([pick, *moved])
    picked: dict[str, str] = {}
    for node in moved:
        for position, name in enumerate(node.input):
            if name in made_by_moved or not name or name in graph.arrays:
                continue
            if name not in picked:
                picked[name] = f"{name}.picked"
                earlier = onnx.NodeProto()
                earlier.CopyFrom(pick)
                earlier.name, earlier.input[0], earlier.output[0] = "", name, picked[name]
                graph.nodes.append(earlier)
            node.input[position] = picked[name]
    last = next(node for node in moved if node.output[0] == pick.input[0])
    last.output[0] = pick.output[0]
    graph.nodes += moved


def _cuts_patches(node: Any, graph: GraphEditor) -> bool:  # noqa: ANN401 - a NodeProto
    """Whether a convolution of the input has kernels side by side, over the whole picture."""
    if node.op_type != "Conv" or node.input[0] != graph.input_name:
        return False
    kernel = graph.arrays.get(node.input[1])
    return (
        kernel is not None
        and kernel.ndim == 4
        and attribute(node, "strides") == list(kernel.shape[2:])
        and not any(attribute(node, "pads", [0]))
        and attribute(node, "auto_pad", b"NOTSET") == b"NOTSET"
        and set(attribute(node, "dilations", [1])) == {1}
        and attribute(node, "group", 1) == 1
        and all(s % k == 0 for s, k in zip(graph.input_shape[2:], kernel.shape[2:], strict=True))
    )


def _replace_conv(graph: GraphEditor, conv: Any, after: list[Any]) -> None:  # noqa: ANN401 - a NodeProto
    width, channels, height, wide = graph.arrays[conv.input[1]].shape
    rows, columns = graph.input_shape[2] // height, graph.input_shape[3] // wide
    name = conv.output[0]
    inner = channels * height * wide
    shapes = {
        "grid": [-1, channels, rows, height, columns, wide],
        "flat": [-1, rows * columns, inner],
        "matrix": [width, inner],
    }
    for key, shape in shapes.items():
        graph.arrays[f"{name}.{key}"] = np.array(shape, np.int64)
    target = after[1].output[0]
    graph.drop([conv, *after])
    graph.add_node("Reshape", [conv.input[0], f"{name}.grid"], f"{name}.cut")
    graph.add_node("Transpose", [f"{name}.cut"], f"{name}.patches", {"perm": [0, 2, 4, 1, 3, 5]})
    graph.add_node("Reshape", [f"{name}.patches", f"{name}.flat"], f"{name}.rows")
    # The kernel keeps its shape, by which the file of weights knows it.
    graph.add_node("Reshape", [conv.input[1], f"{name}.matrix"], f"{name}.kernels")
    graph.add_node("Transpose", [f"{name}.kernels"], f"{name}.weight", {"perm": [1, 0]})
    biased = len(conv.input) > 2
    product = f"{name}.product" if biased else target
    graph.add_node("MatMul", [f"{name}.rows", f"{name}.weight"], product)
    if biased:
        graph.add_node("Add", [product, conv.input[2]], target)


def _only_consumers(
    consumers: dict[str, list[Any]],
    node: Any,  # noqa: ANN401 - a NodeProto
    kinds: tuple[str, ...],
) -> list[Any] | None:
    """The chain of nodes of these kinds that alone follows a node, or None."""
    chain = []
    for kind in kinds:
        following = consumers.get(node.output[0], [])
        if len(following) != 1 or following[0].op_type != kind:
            return None
        (node,) = following
        chain.append(node)
    return chain


def _picks_token(node: Any, graph: GraphEditor) -> bool:  # noqa: ANN401 - a NodeProto
    """Whether a node takes one token of each row [row token width]: [row width]."""
    if node.op_type == "Gather":
        index = graph.arrays.get(node.input[1])
        return attribute(node, "axis", 0) == 1 and index is not None and index.ndim == 0
    return node.op_type == "GatherND" and attribute(node, "batch_dims", 0) == 0


def _only_for(pick: Any, graph: GraphEditor) -> list[Any]:  # noqa: ANN401 - a NodeProto
    """The tokenwise nodes whose results go to `pick` alone, in the order of computing."""
    consumers = graph.consumers()
    if pick.input[0] in pick.input[1:]:
        return []
    moved, inside = [], {id(pick)}
    for node in reversed(graph.nodes):  # a graph's nodes come in the order of computing
        following = consumers.get(node.output[0], [])
        if (
            _is_tokenwise(node, graph)
            and following
            and not graph.is_output(node.output[0])
            and all(id(one) in inside for one in following)
            and node.output[0] not in pick.input[1:]
        ):
            inside.add(id(node))
            moved.append(node)
    reaches = any(node.output[0] == pick.input[0] for node in moved)
    return moved[::-1] if reaches else []


def _is_tokenwise(node: Any, graph: GraphEditor) -> bool:  # noqa: ANN401 - a NodeProto
    """Whether tokens stay apart: constants are vectors or scalars, or a product's matrix."""
    if node.op_type not in _TOKENWISE:
        return False
    constants = [graph.arrays[name] for name in node.input if name in graph.arrays]
    if node.op_type == "MatMul":
        matrix = graph.arrays.get(node.input[1])
        return matrix is not None and matrix.ndim == 2
    if node.op_type == "LayerNormalization":
        return attribute(node, "axis", -1) == -1
    return all(array.ndim <= 1 for array in constants)
