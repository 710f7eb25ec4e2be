"""OpenVINO: a bundle's two graphs, compiled for this processor, also in bf16 where it has that.

Axes: image, text, row (of a batch), dim (width of the joint space).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Float32

from clipworks.arrays import Embeddings, Pixels, Tokens, normalize_rows
from clipworks.devices import count_cores
from clipworks.encoders.batch_checks import check_pixels, check_tokens, no_rows
from clipworks.encoders.bundle import Bundle, BundleCard
from clipworks.encoders.computed_precision import resolve_precision
from clipworks.encoders.encoder import AbstractEncoder
from clipworks.encoders.graph_signature import Feeds, GraphInput, GraphSignature
from clipworks.encoders.text_trimming import trim_padding
from clipworks.errors import BundleError, SettingsError
from clipworks.extras import require

ov = require("openvino", "the openvino backend")

# The first array that OpenVINO takes and gives sets up its NumPy side. Where two threads do that at
# once, each waits for the other for ever; an import is one thread's business.
np.array(ov.Tensor(np.zeros(1, np.float32)).data)

_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}
_CAPABILITIES = {"fp32": "FP32", "bf16": "BF16", "fp16": "FP16", "int8": "INT8"}
_DTYPES: dict[str, type[np.generic]] = {
    "f32": np.float32,
    "f16": np.float16,
    "i64": np.int64,
    "i32": np.int32,
}


def list_devices() -> list[str]:
    """The devices that OpenVINO sees: cpu, gpu (Intel's), npu."""
    return [name.lower() for name in ov.Core().available_devices]


@final
class OpenVinoEncoder(AbstractEncoder):
    """A bundle's graphs in OpenVINO, each compiled when first used.

    Args:
        bundle: what to run.
        device: `cpu`, or an Intel `gpu` or `npu`.
        precision: what to compute in; None for the bundle's own.
        num_threads: of one forward pass; 0 for one a core. With fewer, as many passes run at a
            time as the cores allow.

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
        self._core: Any = ov.Core()
        self._device = device.upper()
        if self._device not in self._core.available_devices:
            found = ", ".join(name.lower() for name in self._core.available_devices)
            raise SettingsError(f"device {device!r}: OpenVINO sees only {found} here")
        has = self._core.get_property(self._device, "OPTIMIZATION_CAPABILITIES")
        self._precision = resolve_precision(
            bundle.card,
            precision,
            able=[name for name, capability in _CAPABILITIES.items() if capability in has],
            runtime=f"openvino on {device}",
        )
        self._bundle = bundle
        self._num_threads = num_threads
        self._opening = threading.Lock()
        self._graphs: dict[Path, _CompiledGraph] = {}

    @property
    def backend(self) -> str:
        """The runtime, the device and the precision."""
        return f"openvino ({self._device.lower()}, {self._precision})"

    def encode_images(self, pixels: Pixels) -> Embeddings:
        """Map float32 pixels [image 3 h w] to unit rows [image dim]."""
        check_pixels(pixels, self._bundle.card)
        return self._run(self._bundle.image_graph, pixels)

    def encode_texts(self, tokens: Tokens) -> Embeddings:
        """Map int64 tokens [text context] to unit rows [text dim]."""
        vocab_size = self._open(self._bundle.text_graph).vocab_size
        check_tokens(tokens, self._bundle.card, vocab_size=vocab_size)
        if self._bundle.card.ignores_padding:
            tokens = trim_padding(tokens, self._bundle.card.text.end_id)
        return self._run(self._bundle.text_graph, tokens)

    def _run(self, path: Path, batch: np.ndarray) -> Embeddings:
        graph = self._open(path)  # for an empty batch, too: that is how a tower is warmed up
        return normalize_rows(graph(batch)) if len(batch) else no_rows(self._bundle.card)

    def _open(self, path: Path) -> _CompiledGraph:
        """A graph, compiled once, by whichever thread asks first."""
        with self._opening:
            if path not in self._graphs:
                self._graphs[path] = _CompiledGraph(
                    self._core,
                    path,
                    device=self._device,
                    settings=self._settings(),
                    card=self._bundle.card,
                )
            return self._graphs[path]

    def _settings(self) -> dict[str, object]:
        # Without a hint OpenVINO takes bf16 wherever the processor has it.
        settings: dict[str, object] = {"INFERENCE_PRECISION_HINT": _HINTS[self._precision]}
        if self._device == "CPU":
            cores = count_cores()
            threads = min(self._num_threads or cores, cores)
            streams = cores // threads
            settings |= {"NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": streams * threads}
        return settings


@final
class _CompiledGraph:
    """One graph for one device; each caller gets an infer request of its own."""

    def __init__(
        self,
        core: Any,  # noqa: ANN401 - OpenVINO is untyped here
        path: Path,
        *,
        device: str,
        settings: dict[str, object],
        card: BundleCard,
    ) -> None:
        try:
            model = core.read_model(path)
            self._compiled = core.compile_model(model, device, settings)
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise BundleError(f"{path}: OpenVINO cannot load it: {reason}") from error
        inputs = {one.get_any_name(): _describe(one) for one in model.inputs}
        outputs = [one.get_any_name() for one in model.outputs]
        self._signature = GraphSignature.find(path, inputs, outputs, pooled=card.pools_into_space)
        self._end_id = card.mask_end_id
        self._idle: list[Any] = []  # append and pop are atomic
        self.vocab_size = _find_vocab_size(model.input(self._signature.input_name))

    def __call__(self, batch: np.ndarray) -> Float32[np.ndarray, "row dim"]:
        """Run pixels or tokens; the rows come as the graph gives them.

        Raises:
            BundleError: the graph does not take them.
        """
        try:
            return self._signature.run(batch, self._run, end_id=self._end_id)
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise BundleError(f"{self._signature.path}: OpenVINO failed: {reason}") from error

    def _run(self, feeds: Feeds) -> Float32[np.ndarray, "row dim"]:
        with self._request() as request:
            request.infer(feeds, share_inputs=True)
            # The request's memory is its next caller's.
            return np.array(request.get_tensor(self._signature.output).data, np.float32)

    @contextmanager
    def _request(self) -> Iterator[Any]:
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        yield request
        self._idle.append(request)


def _describe(one: Any) -> GraphInput:  # noqa: ANN401
    name = one.get_element_type().get_type_name()
    rows = one.get_partial_shape()[0]
    return GraphInput(name, _DTYPES.get(name), rows.get_length() if rows.is_static else None)


def _find_vocab_size(tokens: Any) -> int | None:  # noqa: ANN401
    """Rows of the table that the tokens are looked up in, or None where that is not plain to see.

    OpenVINO reads zeros where an id is outside the table, and says nothing.
    """
    for user in tokens.get_target_inputs():
        node = user.get_node()
        if node.get_type_name() == "Convert":
            return _find_vocab_size(node.output(0))
        if node.get_type_name() == "Gather" and user.get_index() == 1:
            rows = node.input(0).get_partial_shape()[0]
            return rows.get_length() if rows.is_static else None
    return None
