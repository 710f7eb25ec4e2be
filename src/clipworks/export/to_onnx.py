"""Two towers to two ONNX graphs that share one file of weights.

The graphs hold no large arrays of their own: each weight is an ONNX external tensor that points
into `weights.safetensors` (whose tensors lie there as plain little-endian bytes), so that a bundle
that can be trained and looked into is no larger than one that only runs. Where the exporter has
transposed a weight, or where the file stores halves, the graph says so with a Transpose or a Cast,
which the runtime folds away when it loads.

Axes: image, text (rows of a batch), dim (width of the joint space).
"""

from __future__ import annotations

import hashlib
import json
import logging
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from clipworks.encoders.bundle import (
    IMAGE_GRAPH_FILE,
    TEXT_GRAPH_FILE,
    WEIGHTS_FILE,
    BundleCard,
)
from clipworks.extras import require
from clipworks.models.clip import Clip
from clipworks.models.two_towers import TwoTowers

OPSET = 20
_SMALLEST_SHARED = 256  # elements; what is smaller stays in the graph
_ONNX_TYPES = {"F32": 1, "F16": 10, "BF16": 16}


def export_graphs(model: TwoTowers, folder: Path, card: BundleCard | None = None) -> None:
    """Write `image.onnx` and `text.onnx` beside `weights.safetensors`, which must hold `model`.

    Args:
        model: what is to run.
        folder: the bundle's.
        card: says how large pictures are, and how long texts; a `Clip` knows without it.

    Raises:
        MissingExtraError: onnx or onnxscript is not installed.
    """
    require("onnx", "converting a checkpoint")
    require("onnxscript", "converting a checkpoint")
    from clipworks.export.graph_editor import GraphEditor
    from clipworks.export.graph_rewrites import speed_up

    weights = _read_layout(folder / WEIGHTS_FILE)
    pixels, tokens = _example_inputs(model, card)
    text_axes = ("text", "context") if ignores_padding(model) else ("text",)
    for tower, example, axes, name, file in (
        (_ImageTower(model), pixels, ("image",), "pixels", IMAGE_GRAPH_FILE),
        (_TextTower(model), tokens, text_axes, "tokens", TEXT_GRAPH_FILE),
    ):
        proto = _export(tower.eval(), example, open_axes=axes, input_name=name)
        graph = GraphEditor(proto, fold=False)
        speed_up(graph)
        proto = graph.model()
        _share_weights(proto, weights)
        (folder / file).write_bytes(proto.SerializeToString())


def ignores_padding(model: TwoTowers) -> bool:
    """Whether the text graph leaves the length of texts open, besides their number."""
    return isinstance(model, Clip) and model.config.text.ignores_padding


def _example_inputs(model: TwoTowers, card: BundleCard | None) -> tuple[Tensor, Tensor]:
    if card is not None:
        height, width, context = card.image.height, card.image.width, card.text.context_length
    else:
        assert isinstance(model, Clip)
        height = width = model.config.vision.image_size
        context = model.config.text.context_length
    return torch.zeros(2, 3, height, width), torch.ones(2, context, dtype=torch.int64)


class _ImageTower(nn.Module):
    def __init__(self, model: TwoTowers) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Float[Tensor, "image 3 h w"]) -> Float[Tensor, "image dim"]:
        return nn.functional.normalize(self.model.encode_image(pixels), dim=-1)


class _TextTower(nn.Module):
    def __init__(self, model: TwoTowers) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Int[Tensor, "text context"]) -> Float[Tensor, "text dim"]:
        return nn.functional.normalize(self.model.encode_text(tokens), dim=-1)


def _export(tower: nn.Module, example: Tensor, *, open_axes: Sequence[str], input_name: str) -> Any:  # noqa: ANN401 - an onnx.ModelProto
    """A tower as ONNX, its input's first axes open and the others as in the example."""
    dims = {0: torch.export.Dim(open_axes[0])}
    if len(open_axes) > 1:
        dims[1] = torch.export.Dim(open_axes[1], max=example.shape[1])
    with _quiet_exporter():
        program = torch.onnx.export(
            tower,
            (example,),
            dynamo=True,
            dynamic_shapes=(dims,),
            input_names=[input_name],
            output_names=["embeddings"],
            opset_version=OPSET,
            optimize=True,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    # The exporter's notes name files on this machine and double the size of a small graph.
    for part in (proto.graph, *proto.graph.node, *proto.graph.input, *proto.graph.output):
        del part.metadata_props[:]
    for node in proto.graph.node:
        node.doc_string = ""
    del proto.graph.value_info[:]
    return proto


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep the exporter's remarks about itself from our users."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@dataclass(frozen=True)
class _Stored:
    """Where a tensor lies in the weights' file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    length: int
    array: np.ndarray  # float32


def _read_layout(path: Path) -> dict[str, _Stored]:
    """Read a safetensors file's table: its header's length (8 bytes), the header, the bytes."""
    raw = np.memmap(path, np.uint8, "r")
    (header_length,) = struct.unpack("<Q", raw[:8].tobytes())
    header = json.loads(raw[8 : 8 + header_length].tobytes())
    stored = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] not in _ONNX_TYPES:
            continue
        begin, end = (8 + header_length + edge for edge in entry["data_offsets"])
        array = _to_float32(raw[begin:end], entry["dtype"]).reshape(entry["shape"])
        shape = tuple(entry["shape"])
        stored[name] = _Stored(name, entry["dtype"], shape, begin, end - begin, array)
    return stored


def _to_float32(raw: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "BF16":
        return (raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return raw.view({"F32": np.float32, "F16": np.float16}[dtype]).astype(np.float32)


def _share_weights(proto: Any, weights: dict[str, _Stored]) -> None:  # noqa: ANN401 - an onnx.ModelProto
    """Replace each large array that stands in the weights' file, as it is or transposed.

    Arrays are recognised by their content: names and folding are the exporter's own business.
    """
    from onnx import numpy_helper

    by_content = _index_by_content(weights)
    kept, external, nodes = [], {}, []
    for initializer in proto.graph.initializer:
        array = numpy_helper.to_array(initializer)
        match = by_content.get(_digest(array)) if array.size >= _SMALLEST_SHARED else None
        if match is None:
            kept.append(initializer)
            continue
        stored, transposed = match
        external[stored.name] = _external_tensor(stored)
        nodes += _nodes_from_stored(stored, transposed, target=initializer.name)
    ordered = [*nodes, *proto.graph.node]
    del proto.graph.initializer[:], proto.graph.node[:]
    proto.graph.initializer.extend([*external.values(), *kept])
    proto.graph.node.extend(ordered)


def _index_by_content(weights: dict[str, _Stored]) -> dict[bytes, tuple[_Stored, bool]]:
    """Each weight by its digest, and each matrix by its transpose's (True) as well."""
    index = {_digest(w.array.T): (w, True) for w in weights.values() if w.array.ndim == 2}
    return index | {_digest(w.array): (w, False) for w in weights.values()}


def _nodes_from_stored(stored: _Stored, transposed: bool, *, target: str) -> list[Any]:
    """The nodes that make the array named `target` of what is stored."""
    from onnx import helper

    source, nodes = _stored_name(stored), []
    if stored.dtype != "F32":
        wide = f"{target}.wide" if transposed else target
        nodes.append(helper.make_node("Cast", [source], [wide], to=_ONNX_TYPES["F32"]))
        source = wide
    if transposed:
        nodes.append(helper.make_node("Transpose", [source], [target], perm=[1, 0]))
    return nodes or [helper.make_node("Identity", [source], [target])]


def _stored_name(stored: _Stored) -> str:
    return f"stored.{stored.name}"


def _external_tensor(stored: _Stored) -> Any:  # noqa: ANN401 - an onnx.TensorProto
    from onnx import TensorProto

    tensor = TensorProto(
        name=_stored_name(stored),
        data_type=_ONNX_TYPES[stored.dtype],
        dims=stored.shape,
        data_location=TensorProto.EXTERNAL,
    )
    place = {"location": WEIGHTS_FILE, "offset": stored.offset, "length": stored.length}
    for key, value in place.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def _digest(array: np.ndarray) -> bytes:
    content = np.ascontiguousarray(array)
    return hashlib.sha1(repr(content.shape).encode() + content.tobytes()).digest()
