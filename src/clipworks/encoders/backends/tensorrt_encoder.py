"""TensorRT: a bundle's two graphs as engines, built when first used and kept in the cache.

Axes: image, text, row (of a batch), dim (width of the joint space).
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Float32
from tokenizers import Tokenizer

from clipworks.arrays import Embeddings, Pixels, Tokens, normalize_rows
from clipworks.encoders.batch_checks import check_pixels, check_tokens, no_rows
from clipworks.encoders.bundle import Bundle, BundleCard
from clipworks.encoders.computed_precision import resolve_precision
from clipworks.encoders.encoder import AbstractEncoder
from clipworks.encoders.graph_signature import Feeds, GraphInput, GraphSignature
from clipworks.encoders.tensorrt_engine import (
    BatchProfile,
    build_engine,
    engine_path,
    quiet_logger,
    timing_cache_path,
)
from clipworks.errors import BundleError, SettingsError
from clipworks.extras import require

trt = require("tensorrt", "the tensorrt backend")
cudart = require("cuda.bindings.runtime", "the tensorrt backend")

_PRECISIONS = ("fp32", "fp16", "bf16", "int8")


def list_devices() -> list[str]:
    """`cuda`, where there is a GPU."""
    error, count = cudart.cudaGetDeviceCount()
    return ["cuda"] if error == cudart.cudaError_t.cudaSuccess and count else []


@final
class TensorRtEncoder(AbstractEncoder):
    """A bundle's graphs as TensorRT engines; the first use of a model builds them, for minutes.

    Args:
        bundle: what to run.
        device: `cuda`.
        precision: what to compute in; None for the bundle's own.
        num_threads: not used: the GPU has its own.

    Raises:
        SettingsError: another device, or no GPU.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: str = "cuda",
        precision: str | None = None,
        num_threads: int = 0,
    ) -> None:
        if device != "cuda":
            raise SettingsError(f"device {device!r}: the tensorrt backend runs on cuda")
        if not list_devices():
            raise SettingsError("device 'cuda': the driver finds no GPU (nvidia-smi says more)")
        self._precision = resolve_precision(
            bundle.card, precision, able=_PRECISIONS, runtime="tensorrt on cuda"
        )
        self._bundle = bundle
        self._profile = BatchProfile()
        # TensorRT reads whatever lies there where an id is outside the table, and says nothing.
        vocabulary = Tokenizer.from_file(str(bundle.tokenizer)).get_vocab()
        self._vocab_size = max(vocabulary.values()) + 1
        self._opening = threading.Lock()
        self._engines: dict[Path, _Engine] = {}

    @property
    def backend(self) -> str:
        """The runtime, the device and the precision."""
        return f"tensorrt (cuda, {self._precision})"

    def encode_images(self, pixels: Pixels) -> Embeddings:
        """Map float32 pixels [image 3 h w] to unit rows [image dim]."""
        check_pixels(pixels, self._bundle.card)
        return self._run(self._bundle.image_graph, pixels)

    def encode_texts(self, tokens: Tokens) -> Embeddings:
        """Map int64 tokens [text context] to unit rows [text dim]."""
        check_tokens(tokens, self._bundle.card, vocab_size=self._vocab_size)
        return self._run(self._bundle.text_graph, tokens)

    def _run(self, graph: Path, batch: np.ndarray) -> Embeddings:
        engine, size = self._open(graph), self._profile.max  # an empty batch loads it, too
        if not len(batch):
            return no_rows(self._bundle.card)
        parts = [engine(batch[begin : begin + size]) for begin in range(0, len(batch), size)]
        return normalize_rows(np.concatenate(parts))

    def _open(self, graph: Path) -> _Engine:
        """An engine, built and loaded once, by whichever thread asks first."""
        with self._opening:
            if graph not in self._engines:
                plan, card = self._find_plan(graph), self._bundle.card
                self._engines[graph] = _Engine(plan, graph, card)
            return self._engines[graph]

    def _find_plan(self, graph: Path) -> Path:
        gpu = _gpu_name()
        plan = engine_path(
            self._bundle.card.fingerprint,
            graph.stem,
            gpu=gpu,
            tensorrt_version=trt.__version__,
            precision=self._precision,
            profile=self._profile,
        )
        if not plan.is_file():
            build_engine(
                graph,
                out=plan,
                precision=self._precision,
                profile=self._profile,
                timing_cache=timing_cache_path(gpu, trt.__version__),
                context_length=self._bundle.card.text.context_length,
            )
        return plan


@final
class _Engine:
    """An engine with one stream; callers take turns, as they would on the GPU itself."""

    def __init__(self, plan: Path, graph: Path, card: BundleCard) -> None:
        self._runtime = trt.Runtime(quiet_logger(trt))  # must live as long as its engine
        self._engine: Any = self._runtime.deserialize_cuda_engine(plan.read_bytes())
        if self._engine is None:
            raise BundleError(f"{plan}: TensorRT cannot load it: delete it to have it built again")
        self._context = self._engine.create_execution_context()
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        inputs = [n for n in names if self._engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
        self._outputs = [name for name in names if name not in inputs]
        described = {name: self._describe(name) for name in inputs}
        self._signature = GraphSignature.find(
            graph, described, self._outputs, pooled=card.pools_into_space
        )
        self._end_id = card.mask_end_id
        self._stream = _checked(cudart.cudaStreamCreate())
        self._buffers: dict[str, tuple[int, int]] = {}  # name to address and size
        self._turn = threading.Lock()

    def __call__(self, batch: np.ndarray) -> Float32[np.ndarray, "row dim"]:
        """Run pixels or tokens; the rows come as the engine gives them."""
        with self._turn:
            return self._signature.run(batch, self._run, end_id=self._end_id)

    def _describe(self, name: str) -> GraphInput:
        kind, rows = self._engine.get_tensor_dtype(name), self._engine.get_tensor_shape(name)[0]
        return GraphInput(str(kind), trt.nptype(kind), None if rows == -1 else rows)

    def _run(self, feeds: Feeds) -> Float32[np.ndarray, "row dim"]:
        kinds, stream = cudart.cudaMemcpyKind, self._stream
        for name, array in feeds.items():
            self._context.set_input_shape(name, array.shape)
            _checked(
                cudart.cudaMemcpyAsync(
                    self._reserve(name, array.nbytes), array.ctypes.data, array.nbytes,
                    kinds.cudaMemcpyHostToDevice, stream,
                )
            )  # fmt: skip
        for name in self._outputs:
            self._reserve(name, self._empty_output(name).nbytes)
        if not self._context.execute_async_v3(stream_handle=stream):
            raise BundleError(f"{self._signature.path}: TensorRT failed to run it")
        rows = self._empty_output(self._signature.output)
        address, _ = self._buffers[self._signature.output]
        _checked(
            cudart.cudaMemcpyAsync(
                rows.ctypes.data, address, rows.nbytes, kinds.cudaMemcpyDeviceToHost, stream
            )
        )
        _checked(cudart.cudaStreamSynchronize(stream))
        return rows.astype(np.float32, copy=False)

    def _empty_output(self, name: str) -> np.ndarray:
        """Room for an output; its shape follows from the inputs' that were set."""
        dtype = trt.nptype(self._engine.get_tensor_dtype(name))
        return np.empty(tuple(self._context.get_tensor_shape(name)), dtype)

    def _reserve(self, name: str, size_bytes: int) -> int:
        """The address of a tensor's memory on the GPU, which grows when it has to."""
        address, reserved = self._buffers.get(name, (0, 0))
        if size_bytes > reserved:
            if address:
                _checked(cudart.cudaFree(address))
            address = _checked(cudart.cudaMalloc(size_bytes))
            self._buffers[name] = (address, size_bytes)
            self._context.set_tensor_address(name, address)
        return address

    def __del__(self) -> None:
        for address, _ in getattr(self, "_buffers", {}).values():
            cudart.cudaFree(address)


def _checked(answer: tuple[Any, ...]) -> Any:  # noqa: ANN401 - whatever CUDA gives
    """The value of a CUDA call, of whose answer the first part is the error.

    Raises:
        SettingsError: the call failed: no memory, or no driver that fits.
    """
    error, *values = answer
    if error != cudart.cudaError_t.cudaSuccess:
        raise SettingsError(f"the GPU failed: {error.name}: free memory on it, or see nvidia-smi")
    return values[0] if values else None


def _gpu_name() -> str:
    properties = _checked(cudart.cudaGetDeviceProperties(0))
    return properties.name.decode().rstrip("\0")
