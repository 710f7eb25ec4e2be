"""A bundle's graphs to TensorRT engines ("plans"), each for one kind of GPU and one TensorRT.

An engine is fast because it was timed on the GPU that will run it: build it there, and with the
TensorRT that will load it. What is to be int8 says so in its graph, with pairs of QuantizeLinear
and DequantizeLinear: TensorRT 10.1 has deprecated calibrators of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, get_args

from clipworks.encoders.bundle import Bundle
from clipworks.encoders.tensorrt_engine import BatchProfile, build_engine
from clipworks.errors import BundleError, SettingsError
from clipworks.extras import require
from clipworks.files import cache_folder, write_json_atomic

Precision = Literal["fp32", "fp16", "bf16", "int8"]

ENGINE_CARD = "engines.json"
IMAGE_PLAN = "image.plan"
TEXT_PLAN = "text.plan"

_QUANTIZING = {"QuantizeLinear", "DequantizeLinear"}


def parse_batches(text: str) -> BatchProfile:
    """Read the smallest, the usual and the largest batch: `1,16,64`.

    Raises:
        SettingsError: these are not three numbers in order.
    """
    try:
        smallest, usual, largest = (int(part) for part in text.split(","))
    except ValueError as error:
        raise SettingsError(f"batches {text!r}: expected three numbers, as in 1,16,64") from error
    return BatchProfile(smallest, usual, largest)


def write_engines(
    bundle: Bundle, out: Path, *, precision: Precision, profile: BatchProfile
) -> list[Path]:
    """Build both towers' engines; what stands under their names in `out` is replaced.

    Args:
        bundle: of precision int8 where the engines are to be.
        out: a folder for `image.plan`, `text.plan` and `engines.json`, made if need be.
        precision: of the computation.
        profile: the batch sizes.

    Raises:
        SettingsError: no such precision, or no GPU.
        BundleError: TensorRT cannot read the graphs, or int8 is wanted and they are not quantised.
        MissingExtraError: tensorrt is not installed.
    """
    plans = [out / IMAGE_PLAN, out / TEXT_PLAN]
    length = bundle.card.text.context_length
    for graph, plan in zip((bundle.image_graph, bundle.text_graph), plans, strict=True):
        write_plan(graph, plan, precision=precision, profile=profile, context_length=length)
    card = {
        "model": bundle.card.name,
        "fingerprint": bundle.card.fingerprint,
        "precision": precision,
        "batches": asdict(profile),
        "tensorrt": require("tensorrt", "building TensorRT engines").__version__,
    }
    write_json_atomic(out / ENGINE_CARD, card)
    return plans


def write_plan(
    graph: Path,
    plan: Path,
    *,
    precision: Precision,
    profile: BatchProfile,
    context_length: int,
) -> None:
    """Build one tower's engine; TensorRT's timings are kept, so that the next build is quicker.

    Args:
        graph: of the tower.
        plan: the engine's file.
        precision: of the computation.
        profile: the batch sizes.
        context_length: of the bundle's texts.

    Raises:
        SettingsError: no such precision, or no GPU.
        BundleError: TensorRT cannot read the graph, or int8 is wanted and it is not quantised.
        MissingExtraError: tensorrt is not installed.
    """
    if precision not in get_args(Precision):
        known = ", ".join(get_args(Precision))
        raise SettingsError(f"precision {precision!r}: expected one of {known}")
    if precision == "int8":
        _check_quantized(graph)
    timings = cache_folder() / "tensorrt" / "timing-exports.cache"
    build_engine(
        graph,
        out=plan,
        precision=precision,
        profile=profile,
        timing_cache=timings,
        context_length=context_length,
    )


def _check_quantized(graph: Path) -> None:
    """Refuse what TensorRT would: it quantises symmetrically, to int8 around a zero point of 0."""
    onnx = require("onnx", "building an int8 engine")
    proto = onnx.load(graph, load_external_data=False).graph
    tensors = {tensor.name: tensor for tensor in proto.initializer}
    nodes = [node for node in proto.node if node.op_type in _QUANTIZING]
    missing = _QUANTIZING - {node.op_type for node in nodes}
    if missing:
        found = f"has no {' and no '.join(sorted(missing))}"
    elif all(_is_symmetric(node, tensors) for node in nodes):
        return
    else:
        found = "has zero points that are not 0, or not int8"
    raise BundleError(
        f"{graph} {found}: TensorRT's int8 takes symmetric pairs of QuantizeLinear and "
        "DequantizeLinear, as clipworks convert --precision int8 --backend tensorrt writes them"
    )


def _is_symmetric(node: Any, tensors: Mapping[str, Any]) -> bool:  # noqa: ANN401 - a NodeProto
    """Whether a node's zero point is int8 and 0; without one it would be uint8."""
    from onnx import TensorProto, numpy_helper

    zero = tensors.get(node.input[2]) if len(node.input) > 2 else None
    if zero is None or zero.data_type != TensorProto.INT8:
        return False
    return zero.data_location == TensorProto.EXTERNAL or not numpy_helper.to_array(zero).any()
