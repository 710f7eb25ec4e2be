"""The arrays in a file that `torch.save` wrote, without PyTorch and without running what is in it.

The file is a zip with a pickle, in which each tensor points to one of the raw files beside it. The
pickle is read with an unpickler that knows tensors and dictionaries only.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from clipworks.errors import CheckpointError

_TYPES: Final = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}
_DAMAGE = (
    pickle.UnpicklingError, zipfile.BadZipFile, EOFError, OSError, ValueError, KeyError, IndexError,
    TypeError, AttributeError, NotImplementedError, RuntimeError,
)  # fmt: skip


def read_tensor_archive(path: Path) -> dict[str, np.ndarray]:
    """Read the state dict that a `.pth`, `.pt` or `.bin` file holds.

    Raises:
        CheckpointError: damaged, of the form before PyTorch 1.6, or holding more than tensors.
    """
    try:
        if not zipfile.is_zipfile(path):
            raise CheckpointError(
                f"{path} is no zip, as PyTorch writes since 1.6: load and save it again with "
                "torch, or save its state dict as safetensors"
            )
        with zipfile.ZipFile(path) as archive:
            (pickled,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
            folder = pickled.removesuffix("data.pkl")
            with archive.open(pickled) as stream:
                content = _Unpickler(stream, archive, folder).load()
    except _DAMAGE as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise CheckpointError(f"{path}: not readable as plain weights: {reason}") from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: expected a state dict, found {type(content).__name__}")
    return {str(name): rows for name, rows in content.items() if isinstance(rows, np.ndarray)}


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: Any, archive: zipfile.ZipFile, folder: str) -> None:  # noqa: ANN401
        super().__init__(stream)
        self._archive = archive
        self._folder = folder

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - what pickle asks for
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
            ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not run")
        return known[module, name]

    def persistent_load(self, pid: Any) -> np.ndarray:  # noqa: ANN401 - what the pickle says
        kind, dtype, key, _, count = pid
        if kind != "storage" or not isinstance(key, str) or "/" in key:
            raise pickle.UnpicklingError(f"unknown reference {kind!r}")
        raw = self._archive.read(f"{self._folder}data/{key}")
        return np.frombuffer(raw, np.dtype(dtype).newbyteorder("<"), count=count)


def _rebuild_tensor(
    storage: np.ndarray, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> np.ndarray:
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if offset < 0 or min(size, default=1) < 1 or min(stride, default=0) < 0 or last >= len(storage):
        raise pickle.UnpicklingError(f"a tensor of {list(size)} does not fit its storage")
    steps = tuple(step * storage.itemsize for step in stride)
    return np.lib.stride_tricks.as_strided(storage[offset:], size, steps).copy()


def _rebuild_parameter(tensor: np.ndarray, *_: object) -> np.ndarray:
    return tensor
