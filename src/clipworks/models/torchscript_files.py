"""The tensors of a TorchScript archive, without its code.

OpenAI published its weights so: a zip with a pickle of the module tree, in which a tensor is a
reference to one of the raw files beside it. The pickle is read with an unpickler that knows
tensors and containers only; the archive's own classes become plain nodes.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from clipworks.errors import CheckpointError

_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_DEEPEST = 32  # modules in modules; a CLIP has six

_UNREADABLE = (
    pickle.UnpicklingError, zipfile.BadZipFile, EOFError, OSError, RuntimeError,
    ValueError, KeyError, IndexError, TypeError, AttributeError, NotImplementedError,
)  # fmt: skip


def is_torchscript(path: Path) -> bool:
    """Whether the file is a zip with a TorchScript archive's parts."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """The parameters and buffers of the archive's module, as its state dict names them.

    Raises:
        CheckpointError: damaged, or asking for anything but tensors and containers.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise CheckpointError(f"{path}: expected one data.pkl, found {len(pickles)}")
            with archive.open(pickles[0]) as stream:
                root = _TensorUnpickler(stream, archive, pickles[0].removesuffix(".pkl")).load()
            return dict(_named_tensors(root, "", 0))
    except _UNREADABLE as error:
        raise CheckpointError(f"{path}: not readable as a TorchScript archive: {error}") from error


class _Node:
    """A module of the archive: its attributes, and nothing that can be called."""

    def __init__(self, *_state: object) -> None:
        self.attributes: dict[str, object] = {}

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, dict):
            raise pickle.UnpicklingError(f"a module's state is a {type(state).__name__}")
        self.attributes = {str(name): value for name, value in state.items()}


class _TensorUnpickler(pickle.Unpickler):
    def __init__(self, stream: Any, archive: zipfile.ZipFile, folder: str) -> None:  # noqa: ANN401
        super().__init__(stream)
        self._archive: Final = archive
        self._folder: Final = folder

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - whatever is allowed
        if module.startswith("__torch__"):
            return _Node
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        raise pickle.UnpicklingError(
            f"it asks for {module}.{name}, which is not needed for weights"
        )

    def persistent_load(self, pid: Any) -> Tensor:  # noqa: ANN401 - as the base class has it
        """The flat tensor of one storage: ("storage", dtype, file, device, elements)."""
        _, dtype, key, _, _ = pid
        entry = self._archive.getinfo(f"{self._folder}/{key}")
        if entry.compress_type != zipfile.ZIP_STORED:
            raise pickle.UnpicklingError(f"its {entry.filename} is compressed")
        content = bytearray(self._archive.read(entry))
        return torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)


def _rebuild_tensor(
    storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_rest: object
) -> Tensor:
    return storage.as_strided(size, stride, offset)


def _first(value: object, *_rest: object) -> object:
    return value


_ALLOWED: dict[tuple[str, str], Callable[..., object]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _first,
    **{
        ("torch.jit._pickle", name): _first
        for name in (
            "build_intlist",
            "build_tensorlist",
            "build_doublelist",
            "build_boollist",
            "restore_type_tag",
        )
    },
}


def _named_tensors(node: object, prefix: str, depth: int) -> Iterator[tuple[str, Tensor]]:
    if not isinstance(node, _Node) or depth > _DEEPEST:
        raise pickle.UnpicklingError("it holds no tree of modules")
    for name, value in node.attributes.items():
        if isinstance(value, Tensor):
            yield f"{prefix}{name}", value
        elif isinstance(value, _Node):
            yield from _named_tensors(value, f"{prefix}{name}.", depth + 1)
