"""CSV, TSV, JSONL, lists of paths and texts a line: files of records, and stdin.

Each file is read once from end to end when it is opened, to learn where partitions begin. A
partition carries its records with it, so that whoever reads it needs no file. What is not a local
file is copied to a nameless one first.
"""

from __future__ import annotations

import csv
import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast, final

from clipworks.data.addresses import is_address
from clipworks.data.columns import merge_columns
from clipworks.data.partitions import ListedPartition
from clipworks.data.record_formats import (
    AbstractRecordFormat,
    CsvFormat,
    JsonFormat,
    LineFormat,
    PathFormat,
    csv_records,
    iterate_objects,
    parse_csv,
)
from clipworks.data.remote_files import Spool, StoredFile, open_file
from clipworks.data.samples import Sample, storable
from clipworks.data.sources.opened_source import OpenedSource, SourceFacts
from clipworks.data.sources.places import STDIN
from clipworks.data.sources.source import AbstractSource
from clipworks.data.sources.source_options import Modality, Say, SourceOptions, keep_silent
from clipworks.data.table_rows import choose_columns
from clipworks.errors import FolderError, InputError, SettingsError

_LOOKED_AT = 1000
_MANY = 200_000
_PEEKED_BYTES = 1 << 16


@dataclass(frozen=True)
class _Stretch:
    """Some records that follow each other in one file.

    Attributes:
        file: its place in the list.
        start: of the first record, in bytes.
        stop: of the last.
        first: the first record's number in the file, from 1; a header has none.
    """

    file: int
    start: int
    stop: int
    first: int


@dataclass(frozen=True)
class _Chunk:
    """A stretch with its content."""

    name: str
    content: bytes
    first: int
    record_format: AbstractRecordFormat


@final
@dataclass(frozen=True)
class _Records:
    """Some records, with all that is needed to read them."""

    chunks: Sequence[_Chunk]

    def __iter__(self) -> Iterator[Sample]:
        for chunk in self.chunks:
            number = chunk.first
            for record in chunk.record_format.records(BytesIO(chunk.content)):
                if not chunk.record_format.is_blank(record):
                    yield chunk.record_format.sample(record, name=f"{chunk.name}#row={number}")
                    number += 1


@dataclass(frozen=True)
class _RecordFile:
    """A file that has been looked into.

    Attributes:
        name: where it lies.
        open: opens it at its beginning.
        record_format: how to read it.
        begin: where its records begin, behind a header.
    """

    name: str
    open: Callable[[], BinaryIO]
    record_format: AbstractRecordFormat
    begin: int


def open_records(
    description: str, kind: str, files: Sequence[StoredFile], options: SourceOptions, say: Say
) -> AbstractSource:
    """Make a source of files of records.

    Args:
        description: what the user called them.
        kind: `csv`, `tsv`, `jsonl`, `paths` or `lines`.
        files: in order.
        options: how to read them.
        say: is told what was guessed.

    Raises:
        FolderError: a file cannot be read, or no record is there.
        SettingsError: a column is not there.
    """
    openers = {file.url: _opener(file.url) for file in files}
    return _open_all(description, kind, openers, options, say)


def _open_all(
    description: str,
    kind: str,
    openers: Mapping[str, Callable[[], BinaryIO]],
    options: SourceOptions,
    say: Say,
) -> AbstractSource:
    opened: list[_RecordFile] = []
    for url, opener in openers.items():
        if opened:  # what is guessed of the first file holds for all
            options, say = _as_the_first(options, opened[0].record_format), keep_silent
        opened.append(_open(url, opener, kind, options, say))
    hasher = hashlib.sha256()
    stretches = list(_cut(opened, options.partition_size, hasher.update))
    count = sum(records for _, records in stretches)
    if not count:
        where = "stdin" if description == STDIN else description
        raise FolderError(f"{where} is empty: expected one sample a line")
    modality, chosen = _settle(description, opened[0].record_format, options)

    def partition(number: int) -> ListedPartition:
        chunks = [_load(opened[piece.file], piece) for piece in stretches[number][0]]
        return ListedPartition(number, _Records(chunks), options.limits)

    facts = SourceFacts(
        description=storable(description),
        digest=hasher.hexdigest(),
        num_samples=count,
        num_partitions=len(stretches),
        modality=modality,
        options=chosen,
    )

    def columns() -> dict[str, str]:
        if count > _MANY:
            say(f"{description}: reading {count:,} rows for the types of their columns, once")
        return _columns(opened)

    return OpenedSource(facts, partition=partition, columns=columns)


def open_stdin(options: SourceOptions, say: Say) -> AbstractSource:
    """Make a source of what comes on stdin: JSON objects, or paths and addresses, one a line.

    Raises:
        FolderError: nothing comes.
        SettingsError: a column is not there.
    """
    content = Spool(cast("BinaryIO", sys.stdin.buffer))
    kind = options.kind
    if kind is None and options.nul_separated:
        kind = "paths"
    elif kind is None:
        with content.open() as stream:
            begin = stream.read(_PEEKED_BYTES).lstrip()
        kind = "jsonl" if begin.startswith(b"{") else "paths"
    return _open_all(STDIN, kind, {STDIN: content.open}, options, say)


def _as_the_first(options: SourceOptions, first: AbstractRecordFormat) -> SourceOptions:
    if not isinstance(first, CsvFormat | JsonFormat):
        return options
    choice = first.choice
    return replace(
        options,
        image_column=choice.image,
        caption_column=choice.caption,
        modality=choice.modality,
    )


def _settle(
    description: str, record_format: AbstractRecordFormat, options: SourceOptions
) -> tuple[Modality, dict[str, str]]:
    if isinstance(record_format, CsvFormat | JsonFormat):
        choice = record_format.choice
        return choice.modality, {**options.said, **choice.options}
    has_images = isinstance(record_format, PathFormat)
    modality = options.settle(description, images=has_images, captions=not has_images)
    return modality, {"source_kind": "paths" if has_images else "lines"}


def _open(
    url: str, opener: Callable[[], BinaryIO], kind: str, options: SourceOptions, say: Say
) -> _RecordFile:
    try:
        with opener() as stream:
            begin, record_format = _recognise(stream, url, kind, options, say)
    except (InputError, csv.Error) as error:
        if isinstance(error, SettingsError):
            raise
        raise FolderError(f"{url} {error}") from error
    return _RecordFile(url, opener, record_format, begin)


def _opener(url: str) -> Callable[[], BinaryIO]:
    """How to open a file in which one can jump, again and again."""
    try:
        with open_file(url) as stream:
            if not is_address(url) and stream.seekable():
                return partial(open_file, url)
            return Spool(stream).open
    except InputError as error:
        if isinstance(error, SettingsError):
            raise
        raise FolderError(f"{url} {error}") from error


def _base(url: str) -> str:
    if url == STDIN:
        return str(Path.cwd())
    return url.rpartition("/")[0] if is_address(url) else str(Path(url).absolute().parent)


def _recognise(
    stream: BinaryIO, url: str, kind: str, options: SourceOptions, say: Say
) -> tuple[int, AbstractRecordFormat]:
    """Find out how a file is to be read, and where its records begin."""
    base = _base(url)
    if kind == "lines":
        return 0, LineFormat()
    if kind == "paths":
        return 0, PathFormat(base, options.nul_separated)
    if kind == "jsonl":
        names: dict[str, None] = {}
        for fields in iterate_objects(islice(stream, _LOOKED_AT)):
            names |= dict.fromkeys(fields)
        if not names:
            raise InputError("holds no JSON object in its first lines")
        return 0, JsonFormat(choose_columns(list(names), options, where=url, base=base, say=say))
    delimiter = "\t" if kind == "tsv" else ","
    header = next(csv_records(stream, delimiter), b"")
    columns = tuple(name.strip() for name in parse_csv(header, delimiter))
    if not any(columns):
        raise InputError("is empty: expected a header that names its columns")
    choice = choose_columns(columns, options, where=url, base=base, say=say)
    return len(header), CsvFormat(columns, delimiter, choice)


def _cut(
    files: Sequence[_RecordFile], size: int, digest: Callable[[bytes], None]
) -> Iterator[tuple[list[_Stretch], int]]:
    """Go through all records; give the stretches of each partition and how many records it has."""
    pieces: list[_Stretch] = []
    count = 0
    for place, file in enumerate(files):
        with file.open() as stream:
            digest(stream.read(file.begin))
            start = position = file.begin
            first = number = 1
            for record in file.record_format.records(stream):
                digest(record)
                position += len(record)
                if file.record_format.is_blank(record):
                    continue
                number += 1
                count += 1
                if count == size:
                    yield [*pieces, _Stretch(place, start, position, first)], count
                    pieces, count, start, first = [], 0, position, number
        if number > first:
            pieces.append(_Stretch(place, start, position, first))
        digest(b"\0end of file\0")
    if pieces:
        yield pieces, count


def _load(file: _RecordFile, piece: _Stretch) -> _Chunk:
    with file.open() as stream:
        raw = os.pread(stream.fileno(), piece.stop - piece.start, piece.start)
    return _Chunk(file.name, raw, piece.first, file.record_format)


def _columns(files: Sequence[_RecordFile]) -> dict[str, str]:
    """Read all records for the types of their fields."""
    found: list[dict[str, str]] = []
    for file in files:
        with file.open() as stream:
            stream.seek(file.begin)
            found.append(file.record_format.columns(stream))
    return merge_columns(found)
