"""What values the inputs of a graph's linear layers take on examples.

Axes: row (pictures or texts in a batch).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

from clipworks.devices import count_cores
from clipworks.export.graph_editor import GraphEditor
from clipworks.export.quantization import linear_layers

_EXTREMES = ("ReduceMin", "ReduceMax")


def observe_ranges(
    graph: GraphEditor, batches: Sequence[np.ndarray], folder: Path
) -> dict[str, tuple[float, float]]:
    """Run batches through a graph; note the smallest and largest value of each layer's input.

    Args:
        graph: in float; it is not changed.
        batches: pixels or tokens, as the graph takes them.
        folder: for a file that is deleted again.
    """
    sources = sorted({layer.source for layer in linear_layers(graph)})
    path = folder / "observed.onnx"
    _watched(graph, sources, path)
    options = ort.SessionOptions()
    options.intra_op_num_threads = count_cores()
    try:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        found = [session.run(_names(sources), {graph.input_name: batch}) for batch in batches]
    finally:
        path.unlink()
    extremes = np.array(found, np.float32).reshape(len(batches), len(sources), 2)
    low, high = extremes[..., 0].min(axis=0), extremes[..., 1].max(axis=0)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(sources)}


def _names(sources: Sequence[str]) -> list[str]:
    return [f"{source}.{kind}" for source in sources for kind in _EXTREMES]


def _watched(graph: GraphEditor, sources: Sequence[str], path: Path) -> None:
    """Write the graph with the extremes of some arrays as further outputs."""
    model = graph.model()
    for source in sources:
        for kind in _EXTREMES:
            name = f"{source}.{kind}"
            model.graph.node.append(helper.make_node(kind, [source], [name], keepdims=0))
            model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, []))
    path.write_bytes(model.SerializeToString())
