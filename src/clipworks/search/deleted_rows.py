"""Rows that were deleted and still lie in a folder, until it is compacted.

`deleted.npy` holds their ids, rising. It is written as a whole, so that a kill leaves the old list
or the new one. Whoever searches the folder looks among the other rows alone.

Axes: row (of the folder).
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Int64

from clipworks.arrays import Embeddings
from clipworks.errors import FolderError
from clipworks.files import write_bytes_atomic
from clipworks.search.index import AbstractIndex, AbstractOverlay, Allowed
from clipworks.search.matches import Matches

DELETED_FILE = "deleted.npy"


def read_deleted(folder: Path, num_rows: int) -> Int64[np.ndarray, "deleted"]:
    """Ids of a folder's deleted rows, rising.

    Raises:
        FolderError: the list is damaged, or belongs to other rows.
    """
    path = folder / DELETED_FILE
    try:
        ids = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        return np.zeros(0, np.int64)
    except (ValueError, EOFError, OSError) as error:
        raise FolderError(f"{path} is damaged: {error}") from error
    if ids.ndim != 1 or ids.dtype != np.int64:
        raise FolderError(f"{path} is damaged: expected int64 [row], got {ids.dtype}")
    if len(ids) and not 0 <= ids[0] <= ids[-1] < num_rows:
        raise FolderError(f"{path} names row {ids[-1]}, and the folder has {num_rows} rows")
    return ids


def write_deleted(folder: Path, ids: Int64[np.ndarray, "deleted"]) -> None:
    """Remember rows as deleted, whole or not at all.

    Raises:
        OSError: the disk is full, or does not let us write.
    """
    stream = io.BytesIO()
    np.save(stream, np.unique(ids).astype(np.int64), allow_pickle=False)
    write_bytes_atomic(folder / DELETED_FILE, stream.getvalue())


def kept_rows(folder: Path, num_rows: int) -> Allowed | None:
    """A bit for each row that was not deleted; None where none was.

    Raises:
        FolderError: the list is damaged, or belongs to other rows.
    """
    deleted = read_deleted(folder, num_rows)
    if not len(deleted):
        return None
    kept = np.ones(num_rows, bool)
    kept[deleted] = False
    return kept


@final
class KeptIndex(AbstractOverlay):
    """An index in which some rows are never found; they keep their numbers, and count in `size`.

    Args:
        index: with all rows.
        kept: the rows that may be found.
    """

    def __init__(self, index: AbstractIndex, kept: Allowed) -> None:
        assert kept.shape == (index.size,)
        super().__init__(index)
        self._kept = kept

    def _nearest(self, queries: Embeddings, k: int, allowed: Allowed | None) -> Matches:
        both = self._kept if allowed is None else self._kept & allowed
        return self._index.search(queries, k, allowed=both)

    def _rows_at(self, ids: np.ndarray) -> Embeddings:
        return self._index.reconstruct(ids)
