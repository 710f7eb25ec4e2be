"""Tensors out of files, without running what is in the files."""

from __future__ import annotations

import json
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from clipworks.errors import CheckpointError
from clipworks.models.torchscript_files import is_torchscript, read_torchscript

_WHOLE = (
    "weights.safetensors",
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.bin",
    "model.safetensors",
    "pytorch_model.bin",
)
_SHARDED = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_SUFFIXES = {".safetensors", ".bin", ".pt", ".pth"}
_WRAPPERS = ("state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.")
_POINTER = b"version https://git-lfs.github.com/"

# What torch's weights-only unpickler raises on a file that is damaged or holds more than tensors.
_UNREADABLE = (
    pickle.UnpicklingError, zipfile.BadZipFile, EOFError, OSError, RuntimeError,
    ValueError, KeyError, IndexError, TypeError, AttributeError, AssertionError,
)  # fmt: skip


@dataclass(frozen=True)
class TensorFile:
    """A checkpoint as it lies on disk.

    Attributes:
        path: the file, or the index of its shards.
        tensors: by the names that the file gives them, without a wrapper's prefix.
        metadata: of a safetensors file.
    """

    path: Path
    tensors: dict[str, Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where its side files lie."""
        return self.path.parent


def find_weights(path: Path) -> Path:
    """The file of weights that a path means: itself, or that of a folder.

    Raises:
        CheckpointError: there is no such path, no weights in the folder, or a choice of them.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise CheckpointError(f"{path}: no such file or folder")
    for name in (*_WHOLE, *_SHARDED):
        if (path / name).is_file():
            return path / name
    others = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)
    if len(others) == 1:
        return others[0]
    found = ", ".join(file.name for file in others) or "none"
    raise CheckpointError(
        f"{path}: expected one file of weights, such as {_WHOLE[1]} or {_WHOLE[3]}, found: {found}"
    )


def read_tensor_file(path: Path) -> TensorFile:
    """Read a file of weights, or all shards of an index.

    Raises:
        CheckpointError: damaged, or holding more than tensors and plain values.
    """
    if path.name.endswith(".index.json"):
        return TensorFile(path, _strip_prefixes(_read_shards(path)))
    refuse_pointer(path)
    if path.suffix == ".safetensors":
        tensors, metadata = _read_safetensors(path)
        return TensorFile(path, _strip_prefixes(tensors), metadata)
    return TensorFile(path, _strip_prefixes(_read_pickled(path)))


def refuse_pointer(path: Path) -> None:
    """Tell a file from the note that Git leaves in its place.

    Raises:
        CheckpointError: it is such a note.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(_POINTER))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    if start == _POINTER:
        raise CheckpointError(
            f"{path} is a Git LFS pointer, not the file itself: run git lfs pull in its folder"
        )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object.

    Raises:
        CheckpointError: it does not.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not readable as JSON: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: not readable as safetensors, damaged or cut short: {error}: fetch it again"
        ) from error


def _read_shards(index: Path) -> dict[str, Tensor]:
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict):
        raise CheckpointError(f"{index}: no weight_map in it")
    tensors: dict[str, Tensor] = {}
    for name in sorted({str(shard) for shard in weight_map.values()}):
        inside = Path(name).name == name and (index.parent / name).is_file()
        if not inside or name.endswith(".index.json"):
            raise CheckpointError(f"{index}: the shard {name!r} is not a file of weights beside it")
        tensors |= read_tensor_file(index.parent / name).tensors
    return tensors


def _read_pickled(path: Path) -> dict[str, Tensor]:
    if is_torchscript(path):
        return read_torchscript(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise CheckpointError(_unreadable(path, error)) from error
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: expected a state dict, found {type(content).__name__}")
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def _unreadable(path: Path, error: Exception) -> str:
    """Why a file cannot be read: torch's own words are many, and not for users."""
    if foreign := re.search(r"GLOBAL ([\w.]+)", str(error)):
        return (
            f"{path}: not readable as plain weights: it holds {foreign[1]}, and nothing in a "
            "checkpoint is run: where you trust the file, save its state_dict as safetensors"
        )
    size = path.stat().st_size
    return (
        f"{path}: not readable as PyTorch's weights: damaged, cut short ({size:,} bytes are here), "
        "or something else: fetch it again"
    )


def _strip_prefixes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take off what wrappers for data parallelism and compilation put before every name."""
    for prefix in _PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            return _strip_prefixes(
                {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
            )
    return tensors
