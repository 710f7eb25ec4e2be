"""What each quantised layer costs by itself.

One graph holds every layer in float and in 8 bits; a vector of switches says which of the two goes
on. So one session serves for all the layers, where a graph for each would be written, read and
prepared again every time.

Axes: layer, row (pictures or texts), dim (width of the joint space).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from jaxtyping import Bool, Float
from onnx import TensorProto, helper

from clipworks.encoders.graph_signature import Feeds
from clipworks.encoders.onnx_graph import OnnxGraph
from clipworks.export.graph_editor import GraphEditor
from clipworks.export.parity import row_cosines
from clipworks.export.quantization import linear_layers

_SWITCHES = "switches"


def measure_damage(
    graph: GraphEditor,
    quantized: GraphEditor,
    batches: Sequence[np.ndarray],
    folder: Path,
    *,
    load: Callable[[Path, Feeds], OnnxGraph],
    tell: Callable[[int, int], None],
) -> dict[str, float]:
    """For each layer 1 minus the mean cosine that it alone, quantised, has with none quantised.

    Args:
        graph: in float; it is changed.
        quantized: the same with all layers quantised; it is changed as well.
        batches: pixels or tokens, as the graphs take them.
        folder: for files that are deleted again.
        load: opens a graph that takes more inputs, with what these get.
        tell: is told how many layers are done, and of how many.
    """
    layers = _join(graph, quantized)
    switches = np.zeros(len(layers), bool)
    switched = _open(graph, switches, folder, load)

    def run() -> Float[np.ndarray, "row dim"]:
        return np.concatenate([switched(batch) for batch in batches])

    reference = run()
    damage = {}
    for place, layer in enumerate(layers):
        tell(place, len(layers))
        switches[place] = True
        damage[layer] = 1.0 - float(row_cosines(run(), reference).mean())
        switches[place] = False
    return damage


def _join(graph: GraphEditor, quantized: GraphEditor) -> list[str]:
    """Put the quantised layers beside those in float; give the layers in the switches' order."""
    layers = [layer.name for layer in linear_layers(graph)]
    produced, consumers = graph.producers(), graph.consumers()
    # A layer's quantised form may begin at its product and end at the sum with its bias.
    switched = quantized.producers()
    ends = {
        layer: layer if layer in switched else consumers[layer][0].output[0] for layer in layers
    }
    added = [node for node in quantized.nodes if _differs(node, produced)]
    graph.arrays |= {n: one for n, one in quantized.arrays.items() if n not in graph.arrays}
    for place, end in enumerate(ends.values()):
        produced[end].output[0] = f"{end}.float"
        number = f"{_SWITCHES}.{place}"
        graph.arrays[number] = np.array(place, np.int64)
        graph.add_node("Gather", [_SWITCHES, number], f"{number}.on")
        graph.add_node("Where", [f"{number}.on", f"{end}.eight", f"{end}.float"], end)
    names = set(ends.values())
    # What is quantised besides the layers, the table of tokens, is so for good.
    replaced = {name for node in added for name in node.output} & set(produced) - names
    graph.drop([produced[name] for name in replaced])
    for node in added:
        if node.output[0] in names:
            node.output[0] = f"{node.output[0]}.eight"
        graph.nodes.append(node)
    return layers


def _differs(node: Any, produced: dict[str, Any]) -> bool:  # noqa: ANN401 - a NodeProto
    """Whether the float graph makes this node's result in another way, or not at all."""
    same = produced.get(node.output[0])
    return same is None or (same.op_type, same.input) != (node.op_type, node.input)


def _open(
    graph: GraphEditor,
    switches: Bool[np.ndarray, "layer"],
    folder: Path,
    load: Callable[[Path, Feeds], OnnxGraph],
) -> OnnxGraph:
    """The graph with its switches, loaded; its files are gone again."""
    model = graph.model(further_inputs={_SWITCHES})
    shape = list(switches.shape)
    model.graph.input.append(helper.make_tensor_value_info(_SWITCHES, TensorProto.BOOL, shape))
    path, weights = folder / "switched.onnx", folder / "switched.weights"
    # Two forms of each layer may be more than one file of ONNX can hold.
    onnx.save(model, path, save_as_external_data=True, location=weights.name)
    try:
        return load(path, {_SWITCHES: switches})
    finally:
        path.unlink()
        weights.unlink()
