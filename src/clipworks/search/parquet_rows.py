"""The metadata as they lie in parquet files: read by row groups, the smallest pieces there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from clipworks.errors import FolderError
from clipworks.search.row_values import records_of


@dataclass(frozen=True)
class _RowGroup:
    """The smallest piece of a parquet file that can be read alone."""

    path: Path
    number: int
    num_rows: int


@final
class ParquetRows:
    """Parquet files, one after the other.

    Attributes:
        file_sizes: rows of each file.

    Raises:
        FolderError: a file is missing or damaged.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = list(files)
        footers = [_read_footer(path) for path in self._files]
        self.file_sizes = [footer.num_rows for footer in footers]
        self._schemas = [footer.schema for footer in footers]
        self._groups = [
            _RowGroup(path, number, footer.row_group(number).num_rows)
            for path, footer in zip(self._files, footers, strict=True)
            for number in range(footer.num_row_groups)
        ]
        self._ends = np.cumsum([group.num_rows for group in self._groups], dtype=np.int64)

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of all files and their types; of types that differ, one that holds both."""
        schemas = {str(schema): schema.to_arrow_schema() for schema in self._schemas}
        return _unify([schema.remove_metadata() for schema in schemas.values()])

    def tables(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Go through all rows, file by file; a column that a file lacks is null."""
        target = pa.schema([self.schema.field(name) for name in columns])
        for path, size in zip(self._files, self.file_sizes, strict=True):
            yield _read_columns(path, target, size)

    def take(self, ids: np.ndarray) -> list[dict[str, Any]]:
        """Read some rows, in the order asked for; only the row groups that hold them are read."""
        numbers = np.searchsorted(self._ends, ids, side="right")
        found: list[dict[str, Any]] = [{}] * len(ids)
        for number in np.unique(numbers):
            group = self._groups[number]
            places = np.flatnonzero(numbers == number)
            start = int(self._ends[number]) - group.num_rows
            table = _read_group(group).take(ids[places] - start)
            for place, record in zip(places, records_of(table), strict=True):
                found[place] = record
        return found


def _read_footer(path: Path) -> pq.FileMetaData:
    with _explaining_errors(path):
        return pq.read_metadata(path)


def _unify(schemas: list[pa.Schema]) -> pa.Schema:
    try:
        return pa.unify_schemas(schemas, promote_options="permissive") if schemas else pa.schema([])
    except pa.ArrowException:  # a number here and words there: words hold both
        fields: dict[str, pa.Field] = {}
        for field in (field for schema in schemas for field in schema):
            known = fields.setdefault(field.name, field)
            if known.type != field.type:
                fields[field.name] = pa.field(field.name, pa.string())
        return pa.schema(list(fields.values()))


def _read_columns(path: Path, target: pa.Schema, size: int) -> pa.Table:
    with _explaining_errors(path), pq.ParquetFile(path) as file:
        there = set(file.schema_arrow.names)
        table = file.read([name for name in target.names if name in there])
        columns = [
            table.column(field.name).cast(field.type)
            if field.name in there
            else pa.nulls(size, field.type)
            for field in target
        ]
        return pa.table(columns, schema=target)


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
