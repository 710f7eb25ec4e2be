"""ONNX graphs to TensorRT engines, kept beside each other in the cache.

An engine runs only on the kind of GPU, and with the TensorRT release, that it was built for, so
both are in its name. TensorRT 10's Python API; 11 has no builder flags for the precision, and is
not supported yet.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clipworks.errors import BundleError, SettingsError
from clipworks.extras import require
from clipworks.files import cache_folder, write_bytes_atomic

_FLAGS = {"fp32": (), "fp16": ("FP16",), "bf16": ("BF16",), "int8": ("INT8", "FP16")}
_KEY_DIGITS = 12
_TENSORRT = "building TensorRT engines"


@dataclass(frozen=True)
class BatchProfile:
    """The batch sizes that an engine takes, and the one that it is fastest at."""

    min: int = 1
    opt: int = 16
    max: int = 64

    def __post_init__(self) -> None:
        if not 1 <= self.min <= self.opt <= self.max:
            raise SettingsError(
                f"batches {self.min}, {self.opt}, {self.max}: expected 1 <= min <= opt <= max"
            )


def build_engine(
    onnx_path: Path,
    *,
    out: Path,
    precision: str,
    profile: BatchProfile,
    timing_cache: Path,
    context_length: int,
    calibration: Any = None,  # noqa: ANN401 - a tensorrt.IInt8Calibrator
) -> None:
    """Build an engine for this machine's GPU; it takes minutes for a large model.

    Args:
        onnx_path: the graph; its external weights lie beside it.
        out: the engine's file, whole or absent.
        precision: `fp32`, `fp16`, `bf16`, or `int8` for a graph with QuantizeLinear nodes.
        profile: its batch sizes.
        timing_cache: what earlier builds measured, which is read and written.
        context_length: of the texts that it will be given, where the graph leaves it open.
        calibration: for `int8` without QuantizeLinear nodes, which TensorRT discourages.

    Raises:
        MissingExtraError: TensorRT is not installed.
        SettingsError: no such precision, or no GPU.
        BundleError: TensorRT cannot read the graph, or cannot build an engine of it.
    """
    if precision not in _FLAGS:
        raise SettingsError(f"precision {precision!r}: expected one of {', '.join(_FLAGS)}")
    trt = require("tensorrt", _TENSORRT)
    logger = quiet_logger(trt)
    builder = trt.Builder(logger)
    if builder is None:
        raise SettingsError("TensorRT finds no GPU here: engines are built on the GPU they run on")
    network = builder.create_network(0)
    _parse(trt, network, logger, onnx_path)
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # fp32 is to mean fp32
    for flag in _FLAGS[precision]:
        config.set_flag(getattr(trt.BuilderFlag, flag))
    if calibration is not None:
        config.int8_calibrator = calibration
    _add_profile(builder, config, network, profile, context_length)
    known = timing_cache.read_bytes() if timing_cache.is_file() else b""
    config.set_timing_cache(config.create_timing_cache(known), ignore_mismatch=False)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BundleError(f"{onnx_path}: TensorRT cannot build an engine: {logger.last_error}")
    write_bytes_atomic(timing_cache, bytes(config.get_timing_cache().serialize()))
    write_bytes_atomic(out, bytes(plan))


def engine_path(
    fingerprint: str,
    tower: str,
    *,
    gpu: str,
    tensorrt_version: str,
    precision: str,
    profile: BatchProfile,
) -> Path:
    """Where an engine is kept: another file for whatever would make it another engine."""
    deciding = [gpu, tensorrt_version, precision, asdict(profile)]
    key = hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:_KEY_DIGITS]
    return _engine_folder() / f"{fingerprint}-{tower}-{precision}-{key}.plan"


def timing_cache_path(gpu: str, tensorrt_version: str) -> Path:
    """Where the times of single layers are kept, for all engines of one GPU and release."""
    key = hashlib.sha256(f"{gpu} {tensorrt_version}".encode()).hexdigest()[:_KEY_DIGITS]
    return _engine_folder() / f"timing-{key}.cache"


def quiet_logger(trt: Any) -> Any:  # noqa: ANN401 - TensorRT is not installed here
    """A logger that prints nothing and remembers the last error."""

    class QuietLogger(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.last_error = "it does not say why"

        def log(self, severity: Any, msg: str) -> None:  # noqa: ANN401
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                self.last_error = " ".join(msg.split())

    return QuietLogger()


def _engine_folder() -> Path:
    return cache_folder() / "tensorrt"


def _parse(trt: Any, network: Any, logger: Any, path: Path) -> None:  # noqa: ANN401
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(path)):
        errors = "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors))
        raise BundleError(f"{path}: TensorRT cannot read it: {errors or logger.last_error}")


def _add_profile(
    builder: Any,  # noqa: ANN401
    config: Any,  # noqa: ANN401
    network: Any,  # noqa: ANN401
    sizes: BatchProfile,
    context_length: int,
) -> None:
    """Say which batch sizes will come, for every input that leaves its first axis open."""
    profile = builder.create_optimization_profile()
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    shapes = {one.name: tuple(one.shape) for one in inputs}
    for name, (rows, *row) in shapes.items():
        row = [context_length if side == -1 else side for side in row]
        if rows == -1:
            profile.set_shape(name, *((n, *row) for n in (sizes.min, sizes.opt, sizes.max)))
    config.add_optimization_profile(profile)
