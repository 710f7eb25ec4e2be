"""The row store: a copy of the metadata that gives single rows fast.

`metadata_rows.arrow` lies beside the parquet files, which stay what counts. It is Arrow's own file
format, uncompressed and memory-mapped, so that a row is found without decoding its neighbours. It
states the parquet files that it was made of, with their sizes and times: after any change there
it is not used, so that it cannot be out of step.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pyarrow as pa

from clipworks.errors import FolderError
from clipworks.files import atomic_path
from clipworks.search.row_values import records_of

if TYPE_CHECKING:
    from clipworks.search.metadata import MetadataTable

ROW_STORE_FILE = "metadata_rows.arrow"
_BATCH_ROWS = 65536
_SOURCES = b"clipworks_sources"
_SIZES = b"clipworks_sizes"


@final
class RowStore:
    """A row store that was found in date.

    Attributes:
        file_sizes: rows of each parquet file.
        schema: the columns of all of them.
    """

    def __init__(self, reader: pa.ipc.RecordBatchFileReader) -> None:
        notes = reader.schema.metadata
        self.file_sizes: list[int] = json.loads(notes[_SIZES])
        self.schema: pa.Schema = reader.schema.remove_metadata()
        self._batches = [reader.get_batch(n) for n in range(reader.num_record_batches)]
        self._ends = np.cumsum([batch.num_rows for batch in self._batches], dtype=np.int64)

    def tables(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Go through all rows, some ten thousand at a time."""
        for batch in self._batches:
            yield pa.Table.from_batches([batch]).select(list(columns))

    def take(self, ids: np.ndarray) -> list[dict[str, Any]]:
        """Read some rows, in the order asked for."""
        numbers = np.searchsorted(self._ends, ids, side="right")
        order = np.argsort(numbers, kind="stable")
        pieces = []
        for number in np.unique(numbers):
            batch = self._batches[number]
            start = int(self._ends[number]) - batch.num_rows
            pieces.append(batch.take(pa.array(ids[numbers == number] - start)))
        records = records_of(pa.Table.from_batches(pieces, self.schema))
        found: list[dict[str, Any]] = [{}] * len(ids)
        for place, record in zip(order, records, strict=True):
            found[place] = record
        return found


def open_row_store(files: Sequence[Path]) -> RowStore | None:
    """Open the row store of some parquet files; None where there is none that is in date."""
    path = _store_path(files)
    if path is None or not path.is_file():
        return None
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        made_of = json.loads((reader.schema.metadata or {}).get(_SOURCES, b"null"))
        return RowStore(reader) if made_of == _sources(files) else None
    except (pa.ArrowException, OSError, ValueError):
        return None  # the parquet files still say all


def write_row_store(metadata: MetadataTable) -> Path | None:
    """Write the row store of a folder's metadata, whole or not at all; an old one is replaced.

    Returns:
        Its path; None where there are no rows.

    Raises:
        FolderError: the metadata are damaged, or the store cannot be written.
    """
    path = _store_path(metadata.files)
    if path is None or not metadata.size:
        return None
    notes = {
        _SOURCES: json.dumps(_sources(metadata.files)),
        _SIZES: json.dumps(metadata.file_sizes),
    }
    try:
        with (
            atomic_path(path) as temporary,
            pa.ipc.new_file(str(temporary), metadata.schema.with_metadata(notes)) as writer,
        ):
            for table in _large_pieces(metadata):
                writer.write_table(table, max_chunksize=_BATCH_ROWS)
    except OSError as error:
        raise FolderError(f"{path} cannot be written: {error.strerror or error}") from error
    return path


def _large_pieces(metadata: MetadataTable) -> Iterator[pa.Table]:
    """Some partitions at a time as one piece: the fewer pieces, the quicker rows are found."""
    waiting: list[pa.Table] = []
    for _, table in metadata.tables():
        waiting.append(table)
        if sum(part.num_rows for part in waiting) >= _BATCH_ROWS:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _store_path(files: Sequence[Path]) -> Path | None:
    return files[0].parent.parent / ROW_STORE_FILE if files else None


def _sources(files: Sequence[Path]) -> list[list[str | int]]:
    status = [(path.name, path.stat()) for path in files]
    return [[name, state.st_size, state.st_mtime_ns] for name, state in status]
