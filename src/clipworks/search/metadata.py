"""The samples' metadata, read from the parquet files row by row as hits ask for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from clipworks.errors import FolderError


@dataclass(frozen=True)
class _RowGroup:
    """The smallest piece of a parquet file that can be read alone."""

    path: Path
    number: int
    num_rows: int


@final
class MetadataTable:
    """Parquet files, one after the other: row r of the table belongs to row r of the index.

    Args:
        files: in order.

    Attributes:
        file_sizes: rows of each file.

    Raises:
        FolderError: a file is missing or damaged.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        by_file = [_read_footer(path) for path in files]
        self.file_sizes = [sum(group.num_rows for group in groups) for groups in by_file]
        self._groups = [group for groups in by_file for group in groups]
        self._ends = np.cumsum([group.num_rows for group in self._groups], dtype=np.int64)

    @property
    def size(self) -> int:
        """How many rows there are."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def rows(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """Read some rows, in the order asked for; only the row groups that hold them are read.

        Raises:
            FolderError: a file has been damaged or taken away.
        """
        wanted: dict[int, list[int]] = defaultdict(list)
        for row in ids:
            assert 0 <= row < self.size
            wanted[int(np.searchsorted(self._ends, row, side="right"))].append(int(row))
        found: dict[int, dict[str, Any]] = {}
        for number, rows in wanted.items():
            group = self._groups[number]
            start = int(self._ends[number]) - group.num_rows
            table = _read_group(group)
            found.update(zip(rows, table.take([r - start for r in rows]).to_pylist(), strict=True))
        return [found[int(row)] for row in ids]


def _read_footer(path: Path) -> list[_RowGroup]:
    with _explaining_errors(path):
        footer = pq.read_metadata(path)
    sizes = [footer.row_group(number).num_rows for number in range(footer.num_row_groups)]
    return [_RowGroup(path, number, size) for number, size in enumerate(sizes)]


def _read_group(group: _RowGroup) -> pa.Table:
    with _explaining_errors(group.path), pq.ParquetFile(group.path) as file:
        return file.read_row_group(group.number)


@contextmanager
def _explaining_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise FolderError(f"{path} is missing") from error
    except (pa.ArrowException, OSError) as error:
        raise FolderError(f"{path} is damaged: {error}") from error
