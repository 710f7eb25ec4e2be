"""ONNX Runtime: the backend that is always there. It runs a bundle's two graphs.

Axes: image, text (rows of a batch), dim (width of the joint space).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import onnxruntime as ort
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from clipworks.arrays import Embeddings, Pixels, Tokens, normalize_rows
from clipworks.devices import count_cores
from clipworks.encoders.batch_checks import check_pixels, check_tokens, foreign_tokens, no_rows
from clipworks.encoders.bundle import Bundle
from clipworks.encoders.computed_precision import resolve_precision
from clipworks.encoders.encoder import AbstractEncoder
from clipworks.encoders.onnx_graph import OnnxGraph, Provider
from clipworks.encoders.text_trimming import trim_padding
from clipworks.errors import BundleError, SettingsError
from clipworks.files import cache_folder


@dataclass(frozen=True)
class _Device:
    """An execution provider, what to do where it is missing, and what it computes in."""

    provider: str
    remedy: str
    precisions: tuple[str, ...] = ("fp32", "int8")
    prepares: bool = False  # for each length of texts anew


_GPU_BUILD = "pip uninstall onnxruntime, then pip install onnxruntime-gpu"
_DEVICES = {
    "cpu": _Device("CPUExecutionProvider", "pip install onnxruntime"),
    "cuda": _Device("CUDAExecutionProvider", _GPU_BUILD),
    "tensorrt": _Device(
        "TensorrtExecutionProvider", _GPU_BUILD, ("fp32", "fp16", "int8"), prepares=True
    ),
    "coreml": _Device("CoreMLExecutionProvider", "pip install onnxruntime on a Mac", prepares=True),
}


def list_devices() -> list[str]:
    """The devices that the installed ONNX Runtime was built for."""
    built = ort.get_available_providers()
    return [name for name, device in _DEVICES.items() if device.provider in built]


@final
class OnnxEncoder(AbstractEncoder):
    """A bundle's graphs in ONNX Runtime, each loaded when first used.

    Args:
        bundle: what to run.
        device: `cpu`, `cuda`, `tensorrt` or `coreml`.
        precision: what to compute in; None for the bundle's own. Only `tensorrt` has a choice.
        num_threads: of one forward pass; 0 for one a core.

    Raises:
        SettingsError: the device or the precision is not to be had.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: str = "cpu",
        precision: str | None = None,
        num_threads: int = 0,
    ) -> None:
        if device not in _DEVICES:
            raise SettingsError(
                f"device {device!r}: the onnx backend runs on {', '.join(_DEVICES)}"
            )
        built = list_devices()
        if device not in built:
            raise SettingsError(
                f"device {device!r}: this onnxruntime was built for {', '.join(built)} only: "
                f"{_DEVICES[device].remedy}"
            )
        self._precision = resolve_precision(
            bundle.card, precision, able=_DEVICES[device].precisions, runtime=f"onnx on {device}"
        )
        self._bundle = bundle
        self._device = device
        self._num_threads = num_threads or count_cores()
        self._opening = threading.Lock()
        self._graphs: dict[Path, OnnxGraph] = {}

    @property
    def backend(self) -> str:
        """The runtime, the device and the precision."""
        return f"onnx ({self._device}, {self._precision})"

    def encode_images(self, pixels: Pixels) -> Embeddings:
        """Map float32 pixels [image 3 h w] to unit rows [image dim]."""
        check_pixels(pixels, self._bundle.card)
        try:
            return self._run(self._open(self._bundle.image_graph), pixels)
        except InvalidArgument as error:
            reason = " ".join(str(error).split())
            raise BundleError(
                f"{self._bundle.image_graph} does not take pixels: {reason}"
            ) from error

    def encode_texts(self, tokens: Tokens) -> Embeddings:
        """Map int64 tokens [text context] to unit rows [text dim]."""
        check_tokens(tokens, self._bundle.card)
        if self._bundle.card.ignores_padding and not _DEVICES[self._device].prepares:
            tokens = trim_padding(tokens, self._bundle.card.text.end_id)
        try:
            return self._run(self._open(self._bundle.text_graph), tokens)
        except InvalidArgument as error:
            raise foreign_tokens(tokens) from error

    def _open(self, path: Path) -> OnnxGraph:
        """A graph, loaded once, by whichever thread asks first."""
        with self._opening:
            if path not in self._graphs:
                self._graphs[path] = OnnxGraph(
                    path,
                    providers=_providers(self._device, self._precision),
                    num_threads=self._num_threads,
                    end_id=self._bundle.card.mask_end_id,
                    pooled=self._bundle.card.pools_into_space,
                )
            return self._graphs[path]

    def _run(self, graph: OnnxGraph, batch: np.ndarray) -> Embeddings:
        return normalize_rows(graph(batch)) if len(batch) else no_rows(self._bundle.card)


def _providers(device: str, precision: str) -> list[Provider]:
    """The device's provider, and those that take what it leaves."""
    if device == "cpu":
        return [_DEVICES["cpu"].provider]
    if device != "tensorrt":
        return [_DEVICES[device].provider, _DEVICES["cpu"].provider]
    options = {
        "trt_fp16_enable": str(precision == "fp16"),
        "trt_int8_enable": str(precision == "int8"),
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(cache_folder() / "onnxruntime-tensorrt"),
    }
    fallback: list[Provider] = [_DEVICES["cuda"].provider, _DEVICES["cpu"].provider]
    return [(_DEVICES["tensorrt"].provider, options), *fallback]
