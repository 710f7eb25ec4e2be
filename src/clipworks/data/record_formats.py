"""Formats of text files that hold one sample after the other: where records end, what they say."""

from __future__ import annotations

import csv
import io
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, final

from clipworks.data.columns import find_columns, find_written_columns
from clipworks.data.contents import Location, Unreadable
from clipworks.data.samples import Sample
from clipworks.data.table_rows import ColumnChoice, place_of, sample_of_row
from clipworks.errors import InputError

_MARK = b"\xef\xbb\xbf"
_PIECE = 1 << 20


class AbstractRecordFormat(ABC):
    """How to cut a file into records, and how to read one. It can be pickled."""

    @abstractmethod
    def records(self, stream: BinaryIO) -> Iterator[bytes]:
        """Go through the records as they stand in the file: together they are the file.

        What is blank is a record too.
        """

    @abstractmethod
    def is_blank(self, record: bytes) -> bool:
        """Whether a record is no sample."""

    @abstractmethod
    def columns(self, stream: BinaryIO) -> dict[str, str]:
        """Find the fields of all records of a stream, and their types."""

    @abstractmethod
    def sample(self, record: bytes, *, name: str) -> Sample:
        """Read a record that is not blank; one that makes no sense is `Unreadable`."""


@final
@dataclass(frozen=True)
class PathFormat(AbstractRecordFormat):
    """A path or an address a line.

    Attributes:
        base: where relative paths begin.
        nul_separated: whether records end in NUL.
    """

    base: str
    nul_separated: bool = False

    def records(self, stream: BinaryIO) -> Iterator[bytes]:
        """Go through the lines."""
        return _split_at_nul(stream) if self.nul_separated else iter(stream)

    def is_blank(self, record: bytes) -> bool:
        """Whether there is nothing."""
        return not self._text(record)

    def columns(self, stream: BinaryIO) -> dict[str, str]:
        """There are none."""
        return {}

    def sample(self, record: bytes, *, name: str) -> Sample:
        """A picture without a caption."""
        text = os.fsdecode(self._text(record))
        place = place_of(text, self.base)
        return Sample(place.url if isinstance(place, Location) else name, place)

    def _text(self, record: bytes) -> bytes:
        return record.rstrip(b"\0") if self.nul_separated else record.rstrip(b"\r\n")


@final
@dataclass(frozen=True)
class LineFormat(AbstractRecordFormat):
    """A text a line."""

    def records(self, stream: BinaryIO) -> Iterator[bytes]:
        """Go through the lines."""
        return iter(stream)

    def is_blank(self, record: bytes) -> bool:
        """Whether there is nothing but space."""
        return not record.strip()

    def columns(self, stream: BinaryIO) -> dict[str, str]:
        """There are none."""
        return {}

    def sample(self, record: bytes, *, name: str) -> Sample:
        """A caption without a picture."""
        return Sample(name, caption=record.decode("utf-8-sig", errors="replace"))


@final
@dataclass(frozen=True)
class JsonFormat(AbstractRecordFormat):
    """A JSON object a line."""

    choice: ColumnChoice

    def records(self, stream: BinaryIO) -> Iterator[bytes]:
        """Go through the lines."""
        return iter(stream)

    def is_blank(self, record: bytes) -> bool:
        """Whether there is nothing but space."""
        return not record.strip()

    def columns(self, stream: BinaryIO) -> dict[str, str]:
        """What the objects hold, flat."""
        return find_columns(self._rests(stream))

    def _rests(self, stream: BinaryIO) -> Iterator[dict[str, Any]]:
        for row in iterate_objects(stream):
            with suppress(RecursionError):
                yield self.choice.rest(row)

    def sample(self, record: bytes, *, name: str) -> Sample:
        """A row whose columns are the object's."""
        try:
            return sample_of_row(parse_object(record), self.choice, name=name)
        except (InputError, RecursionError) as error:
            return _unreadable(name, str(error))


@final
@dataclass(frozen=True)
class CsvFormat(AbstractRecordFormat):
    """A row of a CSV or TSV file; fields may be quoted, and hold newlines then.

    Attributes:
        header: the columns' names.
        delimiter: between fields.
        choice: of columns.
    """

    header: tuple[str, ...]
    delimiter: str
    choice: ColumnChoice

    def records(self, stream: BinaryIO) -> Iterator[bytes]:
        """Go through the rows; the header is one of them."""
        return csv_records(stream, self.delimiter)

    def is_blank(self, record: bytes) -> bool:
        """Whether there is nothing but space."""
        return not record.strip()

    def columns(self, stream: BinaryIO) -> dict[str, str]:
        """The further columns: of each the narrowest type that all its values fit."""
        rows = _named_rows(stream, self.header, self.delimiter)
        return find_written_columns(map(self.choice.rest, rows))

    def sample(self, record: bytes, *, name: str) -> Sample:
        """A row; values are texts, and what is empty is nothing."""
        try:
            values = parse_csv(record, self.delimiter)
        except csv.Error as error:
            return _unreadable(name, f"is no row: {error}")
        if len(values) != len(self.header):
            return _unreadable(name, f"has {len(values)} fields, the header {len(self.header)}")
        row = {c: value or None for c, value in zip(self.header, values, strict=True)}
        return sample_of_row(row, self.choice, name=name)


def parse_object(record: bytes) -> dict[str, Any]:
    """Read one JSON object.

    Raises:
        InputError: it is none.
    """
    try:
        content = json.loads(record.removeprefix(_MARK))
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"expected a JSON object, found {type(content).__name__}")
    return content


def parse_csv(record: bytes, delimiter: str) -> list[str]:
    """Read the fields of one row; bytes that are no UTF-8 are kept as `os.fsdecode` keeps them."""
    text = record.removeprefix(_MARK).decode("utf-8", errors="surrogateescape")
    return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])


def csv_records(stream: BinaryIO, delimiter: str) -> Iterator[bytes]:
    """Cut a CSV file into rows; a row ends at a newline that does not stand in quotes."""
    taken: list[bytes] = []

    def lines() -> Iterator[str]:
        for line in stream:
            taken.append(line)
            yield line.decode("latin-1")  # the rows' ends are the same in any such encoding

    rows = csv.reader(lines(), delimiter=delimiter)
    while True:
        try:
            next(rows)
        except StopIteration:
            break
        except csv.Error:
            pass  # whoever reads the record meets it again, and reports it
        yield b"".join(taken)
        taken.clear()
    if taken:
        yield b"".join(taken)


def _split_at_nul(stream: BinaryIO) -> Iterator[bytes]:
    rest = b""
    while piece := stream.read(_PIECE):
        *whole, rest = (rest + piece).split(b"\0")
        for record in whole:
            yield record + b"\0"
    if rest:
        yield rest


def _unreadable(name: str, reason: str) -> Sample:
    bad = Unreadable(reason)
    return Sample(name, image=bad, caption=bad)


def iterate_objects(records: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Read the JSON objects that can be read."""
    for record in records:
        with suppress(InputError):
            yield parse_object(record)


def _named_rows(
    stream: BinaryIO, columns: Sequence[str], delimiter: str
) -> Iterator[dict[str, str | None]]:
    lines = (line.decode("utf-8", "surrogateescape") for line in stream)
    rows = csv.reader(lines, delimiter=delimiter)
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error:
            continue
        if len(row) == len(columns):
            yield dict(zip(columns, row, strict=True))
