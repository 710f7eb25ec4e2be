"""Linear layers in 8-bit integers.

Weights become int8, symmetric, with a scale for each output channel. The inputs of a layer become
uint8: *dynamic* quantisation takes the range of each batch as it comes, *static* quantisation a
range that was seen on examples (Jacob et al., arXiv 1712.05877, section 2.1). Dynamic is written
in ONNX Runtime's own operator, which multiplies, scales and adds the bias at once; static in
standard QuantizeLinear and DequantizeLinear pairs, from which OpenVINO makes integer kernels.

Axes: in, out (channels of a layer), id (of the vocabulary), width (of the residual stream).
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int8

from clipworks.export.graph_editor import CONTRIB, GraphEditor, attribute

Ranges = Mapping[str, tuple[float, float]]
"""Of a layer's inputs, by the array's name: the smallest and the largest value."""

_LARGEST = 127  # of a weight; -128 is left out, so that zero is the middle
_LEVELS = 255  # of an input, from 0


@dataclass(frozen=True)
class LinearLayer:
    """A product with a matrix of weights.

    Attributes:
        name: of its result, which names the layer.
        source: the array that it takes.
        weight: [in out].
        bias: the array's name, or "".
        node: in the graph.
    """

    name: str
    source: str
    weight: Float[np.ndarray, "in out"]
    bias: str
    node: Any


def linear_layers(graph: GraphEditor) -> list[LinearLayer]:
    """Every product of an activation with a matrix that the graph holds."""
    found = []
    for node in graph.nodes:
        weight = graph.arrays.get(node.input[1]) if len(node.input) > 1 else None
        if weight is None or weight.ndim != 2 or node.input[0] in graph.arrays:
            continue
        if node.op_type == "MatMul":
            found.append(LinearLayer(node.output[0], node.input[0], weight, "", node))
        elif node.op_type == "Gemm" and _is_plain(node):
            weight = weight.T if attribute(node, "transB", 0) else weight
            bias = node.input[2] if len(node.input) > 2 else ""
            found.append(LinearLayer(node.output[0], node.input[0], weight, bias, node))
    return found


def quantize_dynamic(graph: GraphEditor, *, keep: Container[str] = ()) -> None:
    """Quantise the linear layers, each input by its range in the batch at hand.

    Args:
        graph: is changed.
        keep: names of layers that stay in float.
    """
    for layer in linear_layers(graph):
        if layer.name in keep:
            continue
        weight, scale = _add_weight(graph, layer)
        bias, replaced = _bias_of(graph, layer)
        graph.drop([layer.node, *replaced])
        output = replaced[0].output[0] if replaced else layer.name
        # Without a zero point the weights are symmetric.
        inputs = [layer.source, weight, scale, "", bias]
        graph.add_node("DynamicQuantizeMatMul", inputs, output, domain=CONTRIB)
    quantize_embeddings(graph)


def quantize_static(
    graph: GraphEditor, ranges: Ranges, *, symmetric: bool = False, keep: Container[str] = ()
) -> None:
    """Quantise the linear layers, each input by a range that was seen.

    Args:
        graph: is changed.
        ranges: of every layer's source.
        symmetric: inputs become int8 around 0, all that TensorRT takes, instead of uint8.
        keep: names of layers that stay in float.
    """
    quantized: dict[str, str] = {}
    for layer in linear_layers(graph):
        if layer.name in keep:
            continue
        if layer.source not in quantized:
            seen = ranges[layer.source]
            quantized[layer.source] = _add_quantized_input(graph, layer, seen, symmetric=symmetric)
        weight, scale = _add_weight(graph, layer)
        zero = f"{layer.name}.zero"
        graph.arrays[zero] = np.zeros(layer.weight.shape[1], np.int8)
        graph.add_node("DequantizeLinear", [weight, scale, zero], f"{layer.name}.wide", {"axis": 1})
        graph.drop([layer.node])
        product = f"{layer.name}.product" if layer.bias else layer.name
        graph.add_node("MatMul", [quantized[layer.source], f"{layer.name}.wide"], product)
        if layer.bias:
            graph.add_node("Add", [product, layer.bias], layer.name)
    quantize_embeddings(graph)


def quantize_embeddings(graph: GraphEditor) -> None:
    """Store the table of token embeddings [id width] as int8, with a scale for each id."""
    for node in list(graph.nodes):
        table = graph.arrays.get(node.input[0]) if node.input else None
        if node.op_type != "Gather" or attribute(node, "axis", 0) != 0:
            continue
        if table is None or table.ndim != 2 or not np.issubdtype(table.dtype, np.floating):
            continue
        name = node.output[0]
        numbers, scales = quantize_columns(table.T)
        graph.arrays[f"{name}.table"] = numbers.T
        graph.arrays[f"{name}.scales"] = scales[:, None]
        graph.drop([node])
        for part in ("table", "scales"):
            graph.add_node("Gather", [f"{name}.{part}", node.input[1]], f"{name}.{part}.rows")
        graph.add_node("Cast", [f"{name}.table.rows"], f"{name}.wide", {"to": 1})
        graph.add_node("Mul", [f"{name}.wide", f"{name}.scales.rows"], name)


def quantize_columns(
    weight: Float[np.ndarray, "in out"],
) -> tuple[Int8[np.ndarray, "in out"], Float32[np.ndarray, "out"]]:
    """Numbers in -127..127 and a scale a column, whose product is nearest to the weights."""
    largest = np.abs(weight.astype(np.float32)).max(axis=0)
    # A column of zeros has no scale of its own; any will do.
    scale = np.maximum(largest, np.finfo(np.float32).tiny * _LARGEST) / np.float32(_LARGEST)
    numbers = np.clip(np.rint(weight / scale), -_LARGEST, _LARGEST).astype(np.int8)
    return numbers, scale.astype(np.float32)


def _add_weight(graph: GraphEditor, layer: LinearLayer) -> tuple[str, str]:
    weight, scale = f"{layer.name}.int8", f"{layer.name}.scale"
    graph.arrays[weight], graph.arrays[scale] = quantize_columns(layer.weight)
    return weight, scale


def _add_quantized_input(
    graph: GraphEditor, layer: LinearLayer, seen: tuple[float, float], *, symmetric: bool
) -> str:
    """Round a layer's source to 8 bits and back; zero is met exactly, as padding needs it."""
    low, high = min(seen[0], 0.0), max(seen[1], 0.0)
    width = max(high, -low) / _LARGEST if symmetric else (high - low) / _LEVELS
    scale = max(width, float(np.finfo(np.float32).tiny))
    zero = np.array(np.clip(np.rint(-low / scale), 0, _LEVELS), np.uint8)
    source = layer.source
    names = [f"{source}.input_scale", f"{source}.input_zero"]
    graph.arrays[names[0]] = np.array(scale, np.float32)
    graph.arrays[names[1]] = np.array(0, np.int8) if symmetric else zero
    graph.add_node("QuantizeLinear", [source, *names], f"{source}.eight")
    graph.add_node("DequantizeLinear", [f"{source}.eight", *names], f"{source}.rounded")
    return f"{source}.rounded"


def _bias_of(graph: GraphEditor, layer: LinearLayer) -> tuple[str, list[Any]]:
    """The vector that is added to the product, and the Add that does it, if one does."""
    if layer.bias:
        return layer.bias, []
    following = graph.consumers().get(layer.name, [])
    if len(following) != 1 or following[0].op_type != "Add" or graph.is_output(layer.name):
        return "", []
    others = [name for name in following[0].input if name != layer.name]
    vector = graph.arrays.get(others[0]) if others else None
    if vector is None or vector.shape != (layer.weight.shape[1],):
        return "", []
    return others[0], following


def _is_plain(gemm: Any) -> bool:  # noqa: ANN401 - a NodeProto
    factors = (attribute(gemm, "alpha", 1.0), attribute(gemm, "beta", 1.0))
    return factors == (1.0, 1.0) and not attribute(gemm, "transA", 0)
