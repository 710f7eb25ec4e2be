"""Rows and single cells of parquet files, read in bounded memory."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from itertools import accumulate
from typing import Any, BinaryIO, final

import pyarrow as pa
import pyarrow.parquet as pq

from clipworks.data.addresses import WEB, protocol_of
from clipworks.data.remote_files import open_file, spool
from clipworks.errors import InputError

_BATCH_ROWS = 128
_BUFFER_BYTES = 1 << 20
_KEPT = 4


@contextmanager
def open_parquet(url: str) -> Iterator[pq.ParquetFile]:
    """Open a parquet file, local or not.

    Raises:
        InputError: it cannot be read, or is no parquet file; the message leaves the place out.
    """
    with open_stream(url) as stream, explaining_parquet():
        yield pq.ParquetFile(stream, buffer_size=_BUFFER_BYTES)


def open_stream(url: str) -> BinaryIO:
    """Open a file in which one can jump; what comes over http is copied first.

    Raises:
        InputError: it cannot be read; the message leaves the place out.
    """
    if protocol_of(url) not in WEB:
        return open_file(url)
    with open_file(url) as stream:
        return spool(stream)


@contextmanager
def explaining_parquet() -> Iterator[None]:
    """Turn pyarrow's errors into one line without the place."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"is no parquet file, or damaged: {' '.join(str(error).split())}") from (
            error
        )


def read_cell(url: str, column: str, row: int) -> bytes:
    """Read the bytes in one cell: of a binary column, or of a struct's part `bytes`.

    Raises:
        InputError: there is no such cell, or it holds no bytes; the message leaves the place out.
    """
    with open_parquet(url) as file:
        sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
        ends = list(accumulate(sizes))
        group = next((n for n, end in enumerate(ends) if row < end), None)
        if group is None or column not in file.schema_arrow.names:
            raise InputError(f"has no cell in column {column!r} and row {row}")
        within = row - (ends[group] - sizes[group])
        for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=[column]):
            if within < len(batch):
                value = batch.column(0)[within].as_py()
                value = value.get("bytes") if isinstance(value, dict) else value
                if isinstance(value, bytes):
                    return value
                raise InputError(f"column {column!r} holds no bytes in row {row}")
            within -= len(batch)
    raise AssertionError(row)


@final
class _Cursor:
    """Reads a file's rows forwards from the first row of some row group.

    Args:
        url: of the file.
        columns: to read.
        start: the row that is wanted first.
    """

    def __init__(self, url: str, columns: Sequence[str], start: int) -> None:
        self._stream = open_stream(url)
        with ExitStack() as on_failure, explaining_parquet():
            on_failure.callback(self._stream.close)
            file = pq.ParquetFile(self._stream, buffer_size=_BUFFER_BYTES)
            sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
            ends = list(accumulate(sizes))
            first = next((n for n, end in enumerate(ends) if start < end), len(ends))
            self._batches = _batches(file, range(first, len(ends)), list(columns))
            on_failure.pop_all()
        self.position = ends[first - 1] if first else 0
        self._batch: pa.RecordBatch | None = None

    def rows(self, stop: int) -> Iterator[dict[str, Any]]:
        """Give the rows up to `stop`, which is left for the next call."""
        while self.position < stop and self._fill():
            assert self._batch is not None
            part = self._batch.slice(0, stop - self.position)
            self._batch = self._batch.slice(len(part))
            self.position += len(part)
            yield from _to_rows(part)

    def skip_to(self, start: int) -> None:
        """Pass over the rows before `start`."""
        while self.position < start and self._fill():
            assert self._batch is not None
            skipped = min(len(self._batch), start - self.position)
            self._batch = self._batch.slice(skipped)
            self.position += skipped

    def close(self) -> None:
        """Let go of the file."""
        self._stream.close()

    def _fill(self) -> bool:
        while self._batch is None or not len(self._batch):
            with explaining_parquet():
                self._batch = next(self._batches, None)
            if self._batch is None:
                return False
        return True


def _batches(
    file: pq.ParquetFile, groups: Iterable[int], columns: list[str]
) -> Iterator[pa.RecordBatch]:
    for group in groups:  # no batch of two groups: one of them may be damaged
        yield from file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=columns)


_CursorKey = tuple[int, str, tuple[str, ...]]
_CURSORS: dict[_CursorKey, _Cursor] = {}
_CURSORS_LOCK = threading.Lock()


def read_rows(
    url: str, columns: Sequence[str], *, start: int, stop: int
) -> Iterator[dict[str, Any]]:
    """Read the rows from `start` to `stop` of some columns.

    Whoever reads a file from front to back, stretch by stretch, unpacks each row group once: where
    a stretch ends, a cursor waits for the next one.

    Raises:
        InputError: the file cannot be read; the message leaves the place out.
    """
    key = (os.getpid(), url, tuple(columns))  # a cursor that a fork copied is of no use
    with _CURSORS_LOCK:
        cursor = _CURSORS.pop(key, None)
    if cursor is None or cursor.position > start or _passes_a_group(url, cursor.position, start):
        if cursor:
            cursor.close()
        cursor = _Cursor(url, columns, start)
    try:
        cursor.skip_to(start)
        yield from cursor.rows(stop)
    except BaseException:
        cursor.close()
        raise
    _keep(key, cursor)


def _keep(key: _CursorKey, cursor: _Cursor) -> None:
    with _CURSORS_LOCK:
        dropped = [_CURSORS.pop(key, None)]
        _CURSORS[key] = cursor
        if len(_CURSORS) > _KEPT:
            dropped.append(_CURSORS.pop(next(iter(_CURSORS))))
    for old in dropped:
        if old:
            old.close()


def _passes_a_group(url: str, position: int, start: int) -> bool:
    """Whether a new cursor would begin nearer to `start` than this one stands."""
    if start == position:
        return False
    return any(position < end <= start for end in group_ends(url))


@lru_cache(maxsize=64)
def group_ends(url: str) -> tuple[int, ...]:
    """Where the row groups of a file end, in rows.

    Raises:
        InputError: the file cannot be read; the message leaves the place out.
    """
    with open_parquet(url) as file:
        footer = file.metadata
    return tuple(accumulate(footer.row_group(n).num_rows for n in range(footer.num_row_groups)))


def _to_rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    try:
        return batch.to_pylist()
    except UnicodeDecodeError:  # texts are bytes, whatever the file says
        columns = [
            column.cast(pa.binary()) if _is_text(column.type) else column
            for column in batch.columns
        ]
        rows = pa.RecordBatch.from_arrays(columns, names=batch.schema.names).to_pylist()
        texts = [field.name for field in batch.schema if _is_text(field.type)]
        for row in rows:
            for name in texts:
                if row[name] is not None:
                    row[name] = row[name].decode("utf-8", "surrogateescape")
        return rows


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)
