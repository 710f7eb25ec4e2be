"""How the rows of an embedding folder lie on disk, and how they are read back.

Axes: row (samples), dim (width of the joint space, or what is kept of it), byte (eight numbers).

    store    array               a row x, of unit length, is written as        is read as
    fp16     float16 [row dim]   x, rounded                                    the same
    int8     int8 [row dim]      q = round(127 x / max|x|)                     q / |q|
    binary   uint8 [row byte]    the signs, 1 for more than 0, eight a byte    (+-1) / sqrt(dim)

The type of the array tells which it is. `int8` is symmetric absmax quantisation with one scale a
row (Dettmers et al. 2022, "LLM.int8()", arXiv:2208.07339, section 2.1); since rows have unit length
the scale is known without being written, for dividing by |q| takes it out again. A row of zeros
(no caption) stays one; in `binary` no bit of it is set, which no embedding is like.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, final, get_args

import numpy as np
from jaxtyping import Float16, Float32, Int8, UInt8

from clipworks.arrays import Embeddings, normalize_rows
from clipworks.errors import FolderError, SettingsError

Store = Literal["fp16", "int8", "binary"]
StoredArray = (
    Float16[np.ndarray, "row dim"] | Int8[np.ndarray, "row dim"] | UInt8[np.ndarray, "row byte"]
)

_LARGEST_INT8 = 127
_BITS = 8


@final
class StoredRows:
    """A `.npy` file of rows, memory-mapped; what is taken of it comes as float32.

    Args:
        array: as `pack_rows` makes it, or float32.
    """

    def __init__(self, array: np.ndarray) -> None:
        self._array = array
        width = array.shape[1]
        self.shape = (len(array), width * _BITS if array.dtype == np.uint8 else width)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Embeddings:  # noqa: ANN401 - whatever picks rows of an array
        """The rows that a slice, a mask or a list of numbers picks, as [row dim]."""
        return unpack_rows(self._array[rows])


def open_stored_rows(path: Path) -> StoredRows:
    """Map a file of rows; its pages are read when they are needed.

    Raises:
        FolderError: it is missing, damaged, or holds something else than rows.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise FolderError(f"{path} is missing") from error
    except (ValueError, EOFError, OSError) as error:
        raise FolderError(f"{path} is damaged: {error}") from error
    if array.ndim != 2 or array.dtype not in (np.float16, np.float32, np.int8, np.uint8):
        raise FolderError(
            f"{path}: expected float16, int8 or uint8 [row, dim], got {array.dtype} "
            f"{list(array.shape)}"
        )
    return StoredRows(array)


def check_store(store: str) -> None:
    """Refuse what is no way to store rows.

    Raises:
        SettingsError: it names those that there are.
    """
    if store not in get_args(Store):
        raise SettingsError(f"store {store!r}: expected one of {', '.join(get_args(Store))}")


def check_width(store: str, dim: int, embedding_dim: int) -> int:
    """How many numbers of a row are kept.

    Args:
        store: `fp16`, `int8` or `binary`.
        dim: what was asked for; 0 for all.
        embedding_dim: what the model gives.

    Raises:
        SettingsError: the model gives fewer, or they do not fill whole bytes.
    """
    width = dim or embedding_dim
    if width > embedding_dim:
        raise SettingsError(f"dim {dim}: the model gives {embedding_dim} numbers a row")
    if store == "binary" and width % _BITS:
        raise SettingsError(f"store binary: {width} numbers a row do not fill whole bytes of 8")
    return width


def shorten_rows(rows: Embeddings, dim: int) -> Embeddings:
    """Keep the first `dim` numbers of each row, and bring it to unit length again.

    Only models that were trained for it keep their quality (Kusupati et al. 2022, "Matryoshka
    Representation Learning", arXiv:2205.13147).
    """
    return rows if dim in (0, rows.shape[1]) else normalize_rows(rows[:, :dim])


def pack_rows(rows: Embeddings, store: str) -> StoredArray:
    """Turn unit rows, or rows of zeros, into what is written."""
    if store == "fp16":
        return rows.astype(np.float16)
    if store == "binary":
        return np.packbits(rows > 0, axis=1)  # (row, dim / 8)
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0)  # (row, 1)
    scaled = np.divide(rows * _LARGEST_INT8, largest, out=np.zeros_like(rows), where=largest > 0)
    return np.rint(scaled).astype(np.int8)


def unpack_rows(stored: np.ndarray) -> Float32[np.ndarray, "row dim"]:
    """Turn what was written into float32 rows."""
    if stored.dtype == np.int8:
        return normalize_rows(stored.astype(np.float32))
    if stored.dtype != np.uint8:
        return stored.astype(np.float32)
    bits = np.unpackbits(stored, axis=1)  # (row, dim)
    rows = (bits.astype(np.float32) * 2 - 1) / np.float32(np.sqrt(max(1, bits.shape[1])))
    rows[~stored.any(axis=1)] = 0
    return rows


def blank_rows(count: int, dim: int, store: str) -> StoredArray:
    """Rows for samples that have nothing to embed."""
    return pack_rows(np.zeros((count, dim), np.float32), store)
