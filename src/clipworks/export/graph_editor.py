"""An ONNX graph as plain lists and arrays, to be rewritten.

What only prepares constants (a Transpose of a weight, a Cast of a stored half) is done on reading,
so that a rewrite sees each weight as the array that the layers multiply with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any, final

import numpy as np
import onnx
from onnx import helper, numpy_helper

from clipworks.errors import BundleError

CONTRIB = "com.microsoft"
"""The domain of ONNX Runtime's own operators."""

_LARGEST_FILE_BYTES = 2**31 - 1  # what protobuf can write


@final
class GraphEditor:
    """A graph's nodes and constants.

    Attributes:
        nodes: in any order; `model` sorts them.
        arrays: the constants, name to array.

    Args:
        model: is not changed.
        fold: compute what only casts or transposes constants.
    """

    def __init__(self, model: onnx.ModelProto, *, fold: bool = True) -> None:
        self._model = model
        self.nodes: list[Any] = [_copy(node) for node in model.graph.node]
        self.arrays: dict[str, np.ndarray] = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer
        }
        if fold:
            self._fold()

    @property
    def input_name(self) -> str:
        """Of the pixels or tokens."""
        return self._model.graph.input[0].name

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of the pixels or tokens; 0 where any length goes."""
        shape = self._model.graph.input[0].type.tensor_type.shape
        return tuple(axis.dim_value for axis in shape.dim)

    def producers(self) -> dict[str, Any]:
        """The node that makes each array."""
        return {name: node for node in self.nodes for name in node.output}

    def consumers(self) -> dict[str, list[Any]]:
        """The nodes that take each array."""
        found: dict[str, list[Any]] = {}
        for node in self.nodes:
            for name in node.input:
                found.setdefault(name, []).append(node)
        return found

    def is_output(self, name: str) -> bool:
        """Whether the graph gives this array to its caller."""
        return any(output.name == name for output in self._model.graph.output)

    def add_node(
        self,
        kind: str,
        inputs: Sequence[str],
        output: str,
        attributes: Mapping[str, Any] | None = None,
        *,
        domain: str = "",
    ) -> None:
        """Append a node with one output."""
        node = helper.make_node(kind, inputs, [output], domain=domain, **(attributes or {}))
        self.nodes.append(node)

    def drop(self, dropped: Sequence[Any]) -> None:
        """Take nodes out; nodes are compared as objects."""
        gone = {id(node) for node in dropped}
        self.nodes = [node for node in self.nodes if id(node) not in gone]

    def model(self, *, further_inputs: Set[str] = frozenset()) -> onnx.ModelProto:
        """The graph as ONNX, sorted, without what nothing needs.

        Args:
            further_inputs: arrays that the caller is going to declare as inputs.
        """
        model = onnx.ModelProto()
        model.CopyFrom(_without_content(self._model))
        nodes, needed = self._live_nodes(further_inputs)
        model.graph.node.extend(nodes)
        model.graph.initializer.extend(
            # Not ascontiguousarray, which makes vectors of scalars.
            numpy_helper.from_array(np.array(array, order="C"), name)
            for name, array in self.arrays.items()
            if name in needed
        )
        used = {node.domain for node in nodes}
        if CONTRIB in used and CONTRIB not in {opset.domain for opset in model.opset_import}:
            model.opset_import.append(helper.make_opsetid(CONTRIB, 1))
        return model

    def save(self, path: Path) -> None:
        """Write the graph with its weights in it.

        Raises:
            BundleError: more than ONNX can hold in one file.
        """
        size = sum(array.nbytes for array in self.arrays.values())
        if size > _LARGEST_FILE_BYTES:
            raise BundleError(
                f"{path.name}: {size / 1e9:.1f} GB of weights, but a graph holds at most 2.1 GB"
            )
        path.write_bytes(self.model().SerializeToString())

    def _fold(self) -> None:
        kept = []
        for node in self.nodes:
            source = self.arrays.get(node.input[0]) if node.input else None
            result = None if source is None else self._computed(node, source)
            if result is None:
                kept.append(node)
            else:
                self.arrays[node.output[0]] = result
        self.nodes = kept

    def _computed(self, node: Any, source: np.ndarray) -> np.ndarray | None:  # noqa: ANN401 - a NodeProto
        match node.op_type:
            case "Cast":
                return source.astype(helper.tensor_dtype_to_np_dtype(attribute(node, "to")))
            case "Transpose":
                return source.transpose(attribute(node, "perm"))
            case "Identity":
                return source
            case "Reshape" if node.input[1] in self.arrays:
                shape = self.arrays[node.input[1]]
                return source.reshape(shape) if np.all(shape > 0) else None
        return None

    def _live_nodes(self, further_inputs: Set[str]) -> tuple[list[Any], set[str]]:
        inputs = {one.name for one in self._model.graph.input} | further_inputs
        ordered = _sorted_nodes(self.nodes, inputs | set(self.arrays) | {""})
        needed = {output.name for output in self._model.graph.output}
        live = []
        for node in reversed(ordered):
            if needed & set(node.output):
                live.append(node)
                needed |= set(node.input)
        return live[::-1], needed


def read_graph(path: Path) -> GraphEditor:
    """Read a graph and the weights beside it."""
    return GraphEditor(onnx.load(path))


def attribute(node: Any, name: str, default: Any = None) -> Any:  # noqa: ANN401 - a NodeProto; of any type
    """The value of a node's attribute."""
    for one in node.attribute:
        if one.name == name:
            return helper.get_attribute_value(one)
    return default


def _sorted_nodes(nodes: Sequence[Any], known: set[str]) -> list[Any]:
    """Each node after those that make its inputs."""
    known, waiting, ordered = set(known), list(nodes), []
    while waiting:
        ready, later = [], []
        for node in waiting:
            if all(name in known for name in node.input):
                known.update(node.output)
                ready.append(node)
            else:
                later.append(node)
        assert ready, f"nothing makes an input of {later[0].op_type} {list(later[0].input)}"
        ordered += ready
        waiting = later
    return ordered


def _without_content(model: onnx.ModelProto) -> onnx.ModelProto:
    """The frame of a model: what it takes and gives, its versions."""
    frame = onnx.ModelProto(
        ir_version=model.ir_version,
        producer_name=model.producer_name,
        producer_version=model.producer_version,
        opset_import=model.opset_import,
    )
    frame.graph.name = model.graph.name
    frame.graph.input.extend(model.graph.input)
    frame.graph.output.extend(model.graph.output)
    return frame


def _copy(node: Any) -> Any:  # noqa: ANN401 - a NodeProto
    copied = onnx.NodeProto()
    copied.CopyFrom(node)
    return copied
