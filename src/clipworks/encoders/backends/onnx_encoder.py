"""ONNX Runtime: the default backend. It runs a bundle's two graphs.

Axes: image, text (rows of a batch), dim (width of the joint space).
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import final

import numpy as np
import onnxruntime as ort
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from clipworks.arrays import Embeddings, Pixels, Tokens, normalize_rows
from clipworks.devices import count_cores
from clipworks.encoders.bundle import Bundle
from clipworks.encoders.encoder import AbstractEncoder
from clipworks.encoders.onnx_graph import OnnxGraph
from clipworks.errors import BundleError, InputError, SettingsError

_PROVIDERS = {
    "cpu": ["CPUExecutionProvider"],
    "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"],
}


@final
class OnnxEncoder(AbstractEncoder):
    """A bundle's graphs in ONNX Runtime, each loaded when first used.

    Args:
        bundle: what to run.
        device: `cpu` or `cuda`.
        num_threads: of one forward pass; 0 for one a core.
    """

    def __init__(self, bundle: Bundle, *, device: str = "cpu", num_threads: int = 0) -> None:
        if device not in _PROVIDERS:
            raise SettingsError(f"device {device!r}: expected one of {', '.join(_PROVIDERS)}")
        if _PROVIDERS[device][0] not in ort.get_available_providers():
            raise SettingsError(
                f"device {device!r}: this onnxruntime has only "
                f"{', '.join(ort.get_available_providers())}: pip install onnxruntime-gpu"
            )
        self._bundle = bundle
        self._device = device
        self._num_threads = num_threads or count_cores()
        self._opening = threading.Lock()
        self._graphs: dict[Path, OnnxGraph] = {}

    @property
    def backend(self) -> str:
        """The runtime and the device."""
        return f"onnx ({self._device})"

    def encode_images(self, pixels: Pixels) -> Embeddings:
        """Map float32 pixels [image 3 h w] to unit rows [image dim]."""
        spec = self._bundle.card.image
        expected = (3, spec.height, spec.width)
        if pixels.ndim != 4 or pixels.shape[1:] != expected or pixels.dtype != np.float32:
            raise InputError(
                f"pixels: expected float32 [image, 3, {spec.height}, {spec.width}], "
                f"got {pixels.dtype} {list(pixels.shape)}"
            )
        try:
            return self._run(self._open(self._bundle.image_graph), pixels)
        except InvalidArgument as error:
            reason = " ".join(str(error).split())
            raise BundleError(
                f"{self._bundle.image_graph} does not take pixels: {reason}"
            ) from error

    def encode_texts(self, tokens: Tokens) -> Embeddings:
        """Map int64 tokens [text context] to unit rows [text dim]."""
        context = self._bundle.card.text.context_length
        if tokens.ndim != 2 or tokens.shape[1] != context or tokens.dtype != np.int64:
            raise InputError(
                f"tokens: expected int64 [text, {context}], got {tokens.dtype} {list(tokens.shape)}"
            )
        try:
            return self._run(self._open(self._bundle.text_graph), tokens)
        except InvalidArgument as error:
            raise InputError(
                f"tokens: an id lies outside the model's vocabulary (they go from {tokens.min()} "
                f"to {tokens.max()})"
            ) from error

    def _open(self, path: Path) -> OnnxGraph:
        """A graph, loaded once, by whichever thread asks first."""
        with self._opening:
            if path not in self._graphs:
                self._graphs[path] = OnnxGraph(
                    path,
                    providers=_PROVIDERS[self._device],
                    num_threads=self._num_threads,
                    end_id=self._bundle.card.text.end_id,
                )
            return self._graphs[path]

    def _run(self, graph: OnnxGraph, batch: np.ndarray) -> Embeddings:
        if not len(batch):
            return np.zeros((0, self._bundle.card.embedding_dim), np.float32)
        return normalize_rows(graph(batch))
