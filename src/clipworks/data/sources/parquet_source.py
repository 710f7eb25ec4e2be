"""Parquet files with a column of paths, addresses or bytes: a partition is a stretch of rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import pyarrow as pa

from clipworks.data.addresses import cell_address, is_address
from clipworks.data.columns import find_arrow_columns
from clipworks.data.contents import Unreadable
from clipworks.data.embedding_folder import CAPTION_COLUMN, IMAGE_PATH_COLUMN
from clipworks.data.parquet_cells import group_ends, open_parquet, read_rows
from clipworks.data.partitions import ListedPartition
from clipworks.data.remote_files import StoredFile
from clipworks.data.samples import Sample, storable
from clipworks.data.sources.opened_source import OpenedSource, SourceFacts
from clipworks.data.sources.source import AbstractSource
from clipworks.data.sources.source_options import Say, SourceOptions
from clipworks.data.table_rows import ColumnChoice, choose_columns, sample_of_row
from clipworks.errors import FolderError, InputError, SettingsError

STATUS_COLUMN = "status"
SUCCESS = "success"


@dataclass(frozen=True, slots=True)
class RowRange:
    """Some rows of a file.

    Attributes:
        url: of the file.
        start: counted from 0.
        stop: is not one of them.
    """

    url: str
    start: int
    stop: int


@final
@dataclass(frozen=True)
class _Rows:
    """Some rows, and how to read them.

    Attributes:
        ranges: in order.
        columns: to read.
        choice: of columns.
        successes: whether rows whose `status` is another than `success` are left out.
    """

    ranges: Sequence[RowRange]
    columns: Sequence[str]
    choice: ColumnChoice
    successes: bool

    def __iter__(self) -> Iterator[Sample]:
        for part in self.ranges:
            number = part.start
            while number < part.stop:
                try:
                    for sample in self._read_range(part.url, number, part.stop):
                        number += 1
                        if sample:
                            yield sample
                    break
                except InputError as error:
                    following = _next_group(part, number)
                    bad = Unreadable(f"{error} (rows {number} to {following - 1} are lost)")
                    yield Sample(f"{part.url}#row={number}", image=bad, caption=bad)
                    number = following

    def _read_range(self, url: str, start: int, stop: int) -> Iterator[Sample | None]:
        """Give a sample, or nothing, for each row."""
        rows = read_rows(url, self.columns, start=start, stop=stop)
        for number, row in enumerate(rows, start):
            if self.successes and row.get(STATUS_COLUMN) != SUCCESS:
                yield None
            else:
                name = cell_address(self.choice.image or "", number, url)
                yield sample_of_row(row, self.choice, name=name)


def _next_group(part: RowRange, number: int) -> int:
    """The row of a range at which the row group behind another row begins; or the range's end."""
    try:
        return min(part.stop, next(end for end in group_ends(part.url) if end > number))
    except InputError:
        return part.stop


def open_parquet_files(
    description: str,
    files: Sequence[StoredFile],
    options: SourceOptions,
    say: Say,
    *,
    successes: bool = False,
    num_samples: int | None = None,
) -> AbstractSource:
    """Make a source of parquet files.

    Args:
        description: what the user called them.
        files: in order.
        options: how to read them.
        say: is told what was guessed.
        successes: whether rows whose `status` is another than `success` are no samples.
        num_samples: in all, where that is so.

    Raises:
        FolderError: a file cannot be read, or there are no rows.
        SettingsError: a column is not there.
    """
    footers = [_read_footer(file.url) for file in files]
    rows = [footer.num_rows for footer in footers]
    if not sum(rows):
        raise FolderError(f"{description} is empty: its tables have no rows")
    names = footers[0].schema.names
    base = files[0].url.rpartition("/")[0]
    at_hand = [field.name for field in footers[0].schema if _is_binary(field.type)]
    choice = choose_columns(names, options, where=files[0].url, base=base, say=say, at_hand=at_hand)
    columns = _wanted(footers[0].schema, choice, say)
    for footer in footers:
        _check_columns(footer, choice)
    schemas = [_fields_of(footer.schema, choice, columns) for footer in footers]
    plan = plan_rows(list(zip((file.url for file in files), rows, strict=True)), options)
    facts = SourceFacts(
        description=storable(description),
        digest=_digest(footers, choice),
        num_samples=num_samples if successes else sum(rows),
        num_partitions=len(plan),
        modality=choice.modality,
        options={**options.said, **choice.options},
    )
    return OpenedSource(
        facts,
        partition=lambda number: ListedPartition(
            number, _Rows(plan[number], columns, choice, successes), options.limits
        ),
        columns=lambda: _without_taken(find_arrow_columns(schemas)),
    )


def plan_rows(
    files: Sequence[tuple[str, int]], options: SourceOptions
) -> list[tuple[RowRange, ...]]:
    """Cut the rows of all files, given with their numbers of rows, into partitions."""
    plan: list[tuple[RowRange, ...]] = []
    pieces: list[RowRange] = []
    missing = options.partition_size
    for url, rows in files:
        start = 0
        while start < rows:
            stop = min(rows, start + missing)
            pieces.append(RowRange(url, start, stop))
            missing -= stop - start
            start = stop
            if not missing:
                plan.append(tuple(pieces))
                pieces, missing = [], options.partition_size
    return [*plan, tuple(pieces)] if pieces else plan


@dataclass(frozen=True)
class _Footer:
    url: str
    num_rows: int
    schema: pa.Schema
    digest: bytes


def _read_footer(url: str) -> _Footer:
    try:
        with open_parquet(url) as file:
            footer, schema = file.metadata, file.schema_arrow
    except InputError as error:
        raise FolderError(f"{url} {error}") from error
    hasher = hashlib.sha256(str(schema.remove_metadata()).encode())
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        hasher.update(f"{group.num_rows} {group.total_byte_size}\0".encode())
        for column in range(group.num_columns):
            chunk = group.column(column)
            hasher.update(f"{chunk.total_compressed_size} {_extremes(chunk)}\0".encode())
    return _Footer(url, footer.num_rows, schema.remove_metadata(), hasher.digest())


def _extremes(chunk: Any) -> str:  # noqa: ANN401 - pyarrow has no types for it
    numbers = chunk.statistics
    return repr((numbers.min, numbers.max)) if numbers and numbers.has_min_max else ""


def _check_columns(footer: _Footer, choice: ColumnChoice) -> None:
    for column in (choice.image, choice.caption):
        if column is not None and column not in footer.schema.names:
            raise SettingsError(
                f"{footer.url} has no column {column!r}, which other tables of the source have; "
                f"there are {', '.join(map(repr, footer.schema.names))}"
            )


def _wanted(schema: pa.Schema, choice: ColumnChoice, say: Say) -> list[str]:
    """The columns to read: all but those of bytes that are not the pictures."""
    left_out = [
        field.name for field in schema if _is_binary(field.type) and field.name != choice.image
    ]
    if left_out:
        say(f"columns of bytes that are left out: {', '.join(left_out)}")
    unwanted = {*left_out, *([choice.image] if choice.modality == "text" else [])}
    return [field.name for field in schema if field.name not in unwanted]


def _is_binary(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(_is_binary(kind.field(n).type) for n in range(kind.num_fields))
    return any(
        test(kind)
        for test in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    )


def _fields_of(schema: pa.Schema, choice: ColumnChoice, columns: Sequence[str]) -> pa.Schema:
    """The schema of what is carried through, flat."""
    taken = (choice.image, choice.caption)
    fields: list[pa.Field] = []
    for field in schema:
        if field.name == choice.image and pa.types.is_struct(field.type):
            fields += [pa.field(f"{field.name}.path", pa.string())]
        elif field.name not in taken and field.name in columns:
            fields += _flat(field)
    return pa.schema(fields)


def _flat(field: pa.Field) -> list[pa.Field]:
    if not pa.types.is_struct(field.type):
        return [field]
    inner = [field.type.field(number) for number in range(field.type.num_fields)]
    return [
        leaf for part in inner for leaf in _flat(pa.field(f"{field.name}.{part.name}", part.type))
    ]


def _without_taken(columns: Mapping[str, str]) -> dict[str, str]:
    taken = (IMAGE_PATH_COLUMN, CAPTION_COLUMN)
    return {name: kind for name, kind in columns.items() if name not in taken}


def _digest(footers: Sequence[_Footer], choice: ColumnChoice) -> str:
    hasher = hashlib.sha256(repr(choice.options).encode())
    for footer in footers:
        name = footer.url.rsplit("/", 1)[-1] if is_address(footer.url) else footer.url
        hasher.update(storable(name.rsplit("/", 1)[-1]).encode() + b"\0" + footer.digest)
    return hasher.hexdigest()
