"""Rows by name: an id, or the path of a picture."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from clipworks.data.embedding_folder import IMAGE_PATH_COLUMN, existing_partitions
from clipworks.errors import InputError
from clipworks.search.metadata import MetadataTable

_SHOWN = 3


def find_named_rows(folder: Path, names: Iterable[str], num_rows: int) -> Int64[np.ndarray, "row"]:
    """Find the rows that are named; a path that several rows have names all of them.

    Args:
        folder: an embedding folder.
        names: an id each (digits alone), or a path as the folder has it or relative to the current
            folder; blank ones do not count.
        num_rows: that the folder has.

    Raises:
        InputError: some are none of the folder's.
        FolderError: its metadata are damaged.
    """
    wanted = [name for name in (each.strip("\r\n") for each in names) if name.strip()]
    ids = {int(name) for name in wanted if name.isascii() and name.isdigit()}
    paths = [name for name in wanted if not (name.isascii() and name.isdigit())]
    rows_of = _rows_of_paths(folder, paths) if paths else {}
    unknown = [str(row) for row in sorted(ids) if row >= num_rows]
    unknown += [path for path in paths if not _either(rows_of, path)]
    if unknown:
        some = ", ".join(unknown[:_SHOWN]) + (" ..." if len(unknown) > _SHOWN else "")
        raise InputError(
            f"{len(unknown)} of {len(wanted)} names are none of {folder}'s ({some}): expected ids "
            f"from 0 to {num_rows - 1} or paths as its metadata have them; nothing was deleted"
        )
    found = [*ids, *(row for path in paths for row in _either(rows_of, path))]
    return np.unique(np.array(found, np.int64))


def _either(rows_of: dict[str, list[int]], path: str) -> list[int]:
    return rows_of.get(path) or rows_of.get(str(Path(path).absolute()), [])


def _rows_of_paths(folder: Path, paths: list[str]) -> dict[str, list[int]]:
    wanted = {*paths, *(str(Path(path).absolute()) for path in paths)}
    rows_of: dict[str, list[int]] = {}
    metadata = MetadataTable([files.metadata for files in existing_partitions(folder)])
    for start, table in metadata.tables([IMAGE_PATH_COLUMN]):
        for row, path in enumerate(table[IMAGE_PATH_COLUMN].to_pylist(), start):
            if path in wanted:
                rows_of.setdefault(path, []).append(row)
    return rows_of
