"""A stand-in for TensorRT and CUDA on a machine without a GPU.

An "engine" is a graph's path, which ONNX Runtime runs; the "GPU's memory" is this process's own,
and addresses, sizes and shapes are checked as CUDA and TensorRT would have it. It shows that the
encoder moves the right bytes at the right time, not that TensorRT computes well.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from types import ModuleType, SimpleNamespace
from unittest import mock

import numpy as np
import onnxruntime as ort

ENCODER = "clipworks.encoders.backends.tensorrt_encoder"
_DTYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


class CudaError(IntEnum):
    cudaSuccess = 0  # noqa: N815 - CUDA's own names
    cudaErrorInvalidValue = 1  # noqa: N815


class Memory:
    """What was reserved, by its address."""

    def __init__(self) -> None:
        self.blocks: dict[int, ctypes.Array] = {}

    def malloc(self, size: int):
        block = (ctypes.c_byte * size)()
        address = ctypes.addressof(block)
        self.blocks[address] = block
        return CudaError.cudaSuccess, address

    def free(self, address: int):
        del self.blocks[address]
        return (CudaError.cudaSuccess,)

    def copy(self, target: int, source: int, size: int, kind: str, stream: int):
        on_device = target if kind == "to device" else source
        block = self.blocks.get(on_device)
        if block is None or len(block) < size or stream != 7:
            return (CudaError.cudaErrorInvalidValue,)
        ctypes.memmove(target, source, size)
        return (CudaError.cudaSuccess,)


class Engine:
    num_io_tensors = 2

    def __init__(self, path: str, memory: Memory) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(path, options)
        self.memory = memory
        self.given, self.output = self.session.get_inputs()[0], self.session.get_outputs()[0]

    def get_tensor_name(self, place: int) -> str:
        return (self.given.name, self.output.name)[place]

    def get_tensor_mode(self, name: str) -> str:
        return "input" if name == self.given.name else "output"

    def _of(self, name: str):
        return self.given if name == self.given.name else self.output

    def get_tensor_dtype(self, name: str) -> str:
        return self._of(name).type

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(size if isinstance(size, int) else -1 for size in self._of(name).shape)

    def create_execution_context(self) -> Context:
        return Context(self)


class Context:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._shape: tuple[int, ...] = ()
        self._addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> None:
        assert name == self._engine.given.name
        assert shape[0] <= 64
        self._shape = shape

    def set_tensor_address(self, name: str, address: int) -> None:
        assert address in self._engine.memory.blocks
        self._addresses[name] = address

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (self._shape[0], *self._engine.get_tensor_shape(name)[1:])

    def execute_async_v3(self, *, stream_handle: int) -> bool:
        assert stream_handle == 7
        given, output = self._engine.given, self._engine.output
        dtype = np.dtype(_DTYPES[given.type])
        size = int(np.prod(self._shape)) * dtype.itemsize
        raw = ctypes.string_at(self._addresses[given.name], size)
        batch = np.frombuffer(raw, dtype).reshape(self._shape)
        rows = np.asarray(self._engine.session.run([output.name], {given.name: batch})[0])
        block = self._engine.memory.blocks[self._addresses[output.name]]
        assert len(block) >= rows.nbytes
        ctypes.memmove(block, rows.tobytes(), rows.nbytes)
        return True


def _tensorrt(memory: Memory, built: list[str]) -> ModuleType:
    class ILogger:
        INTERNAL_ERROR, ERROR = 0, 1

    class Config:
        def __getattr__(self, name: str):
            return lambda *_, **__: SimpleNamespace(serialize=lambda: b"times")

    class Builder:
        def __init__(self, logger) -> None: ...

        def create_network(self, flags: int):
            return SimpleNamespace(num_inputs=0, path="")

        def create_builder_config(self):
            return Config()

        def create_optimization_profile(self):
            return SimpleNamespace()

        def build_serialized_network(self, network, config) -> bytes:
            built.append(network.path)
            return network.path.encode()

    class OnnxParser:
        def __init__(self, network, logger) -> None:
            self._network = network

        def parse_from_file(self, path: str) -> bool:
            self._network.path = path
            return True

    module = ModuleType("tensorrt")
    module.__dict__.update(
        __version__="10.0.stand-in",
        ILogger=ILogger,
        Builder=Builder,
        OnnxParser=OnnxParser,
        BuilderFlag=SimpleNamespace(TF32=0, FP16=1, BF16=2, INT8=3),
        TensorIOMode=SimpleNamespace(INPUT="input"),
        nptype=_DTYPES.__getitem__,
        Runtime=lambda logger: SimpleNamespace(
            deserialize_cuda_engine=lambda plan: Engine(plan.decode(), memory)
        ),
    )
    return module


def _cuda(memory: Memory) -> dict[str, ModuleType]:
    runtime = ModuleType("cuda.bindings.runtime")
    runtime.__dict__.update(
        cudaError_t=CudaError,
        cudaMemcpyKind=SimpleNamespace(
            cudaMemcpyHostToDevice="to device", cudaMemcpyDeviceToHost="to host"
        ),
        cudaGetDeviceCount=lambda: (CudaError.cudaSuccess, 1),
        cudaGetDeviceProperties=lambda _: (
            CudaError.cudaSuccess,
            SimpleNamespace(name=b"Stand-in\0\0"),
        ),
        cudaStreamCreate=lambda: (CudaError.cudaSuccess, 7),
        cudaStreamSynchronize=lambda stream: (CudaError.cudaSuccess,),
        cudaMalloc=memory.malloc,
        cudaFree=memory.free,
        cudaMemcpyAsync=memory.copy,
    )
    bindings = ModuleType("cuda.bindings")
    return {"cuda": ModuleType("cuda"), "cuda.bindings": bindings, "cuda.bindings.runtime": runtime}


@contextmanager
def tensorrt_stand_in() -> Iterator[list[str]]:
    """Give the paths of the graphs of which engines are built."""
    memory, built = Memory(), []
    modules = {"tensorrt": _tensorrt(memory, built), **_cuda(memory)}
    with mock.patch.dict(sys.modules, modules):
        sys.modules.pop(ENCODER, None)
        try:
            yield built
        finally:
            sys.modules.pop(ENCODER, None)
