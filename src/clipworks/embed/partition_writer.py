"""One partition's files: each whole or absent, and the done record last."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from clipworks.data.columns import find_columns, metadata_table
from clipworks.data.embedding_folder import PartitionFiles
from clipworks.data.stored_rows import StoredArray
from clipworks.embed.batch_reader import Fault
from clipworks.embed.worker import BatchRows
from clipworks.files import write_bytes_atomic, write_json_atomic


def write_partition(
    files: PartitionFiles, batches: Sequence[BatchRows], columns: Mapping[str, str] | None
) -> None:
    """Write a partition's batches, given in order, as one.

    Raises:
        OSError: the disk is full, or does not let us write.
    """
    begin = time.perf_counter()
    images = [batch.images for batch in batches if batch.images is not None]
    if images:
        write_bytes_atomic(files.image_embeddings, _npy(images))
    texts = [batch.texts for batch in batches if batch.texts is not None]
    if texts:
        write_bytes_atomic(files.text_embeddings, _npy(texts))
    rows = [row for batch in batches for row in batch.metadata]
    if columns is None:
        columns = find_columns(row.fields for row in rows)
    table = metadata_table(rows, columns, with_paths=bool(images))
    stream = io.BytesIO()
    pq.write_table(table, stream)
    write_bytes_atomic(files.metadata, stream.getvalue())
    _write_faults(files, [fault for batch in batches for fault in batch.faults])
    write_json_atomic(files.stats, _stats(batches, time.perf_counter() - begin))


def _npy(parts: Sequence[StoredArray]) -> bytes:
    # By way of memory: `np.save` to a file hides why the system would not write.
    stream = io.BytesIO()
    np.save(stream, np.concatenate(parts), allow_pickle=False)
    return stream.getvalue()


def _write_faults(files: PartitionFiles, faults: Sequence[Fault]) -> None:
    if not faults:
        files.errors.unlink(missing_ok=True)  # an earlier try may have had some
        return
    # A byte of a name that is no UTF-8 becomes `\udc..`, which is JSON's own way to write it.
    lines = [json.dumps(asdict(fault), ensure_ascii=False) + "\n" for fault in faults]
    write_bytes_atomic(files.errors, "".join(lines).encode("utf-8", errors="backslashreplace"))


def _stats(batches: Sequence[BatchRows], write_s: float) -> dict[str, Any]:
    """What clip-retrieval writes, and some things more; all times are in seconds.

    Decoding is a part of reading, as clip-retrieval counts it.
    """
    start, end = min(batch.started for batch in batches), time.time()
    return {
        "start_time": start,
        "end_time": end,
        "read_duration": sum(batch.read_s + batch.decode_s for batch in batches),
        "decode_duration": sum(batch.decode_s for batch in batches),
        "inference_duration": sum(batch.inference_s for batch in batches),
        "write_duration": write_s,
        "total_duration": end - start,
        "sample_count": sum(len(batch.metadata) for batch in batches),
        "skipped_count": sum(batch.num_skipped for batch in batches),
        "incomplete_count": sum(batch.num_incomplete for batch in batches),
    }
