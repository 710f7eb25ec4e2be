"""The samples' metadata, read row by row as hits ask for them, or column by column for filters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from clipworks.search.parquet_rows import ParquetRows
from clipworks.search.row_store import open_row_store

if TYPE_CHECKING:
    import pyarrow as pa


@final
class MetadataTable:
    """Parquet files, one after the other: row r of the table belongs to row r of the index.

    Where the folder's row store is in date, rows come from there, in a fraction of the time.

    Args:
        files: in order.

    Attributes:
        files: as given.
        file_sizes: rows of each file.

    Raises:
        FolderError: a file is missing or damaged.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = list(files)
        self._rows = open_row_store(self.files) or ParquetRows(self.files)
        self.file_sizes = self._rows.file_sizes

    @property
    def size(self) -> int:
        """How many rows there are."""
        return sum(self.file_sizes)

    @property
    def schema(self) -> pa.Schema:
        """The columns of all files and their types; of types that differ, one that holds both."""
        return self._rows.schema

    @property
    def columns(self) -> list[str]:
        """The columns' names."""
        return self.schema.names

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[tuple[int, pa.Table]]:
        """Go through all rows, piece by piece, with the number of each piece's first row.

        Args:
            columns: which to read; by default all. One that a file lacks is null.

        Raises:
            FolderError: a file has been damaged or taken away.
        """
        start = 0
        for table in self._rows.tables(self.columns if columns is None else columns):
            yield start, table
            start += table.num_rows

    def rows(self, ids: Sequence[int] | np.ndarray) -> list[dict[str, Any]]:
        """Read some rows, in the order asked for.

        Raises:
            FolderError: a file has been damaged or taken away.
        """
        wanted = np.asarray(ids, np.int64)
        assert not len(wanted) or 0 <= wanted.min() <= wanted.max() < self.size
        return self._rows.take(wanted)
