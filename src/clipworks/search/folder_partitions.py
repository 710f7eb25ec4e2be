"""Partitions of embedding folders to those of another one: as they are, or without some rows.

Axes: row (of a partition).
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from clipworks.data.embedding_folder import (
    PartitionFiles,
    existing_partitions,
    partition_files,
)
from clipworks.files import write_bytes_atomic, write_json_atomic
from clipworks.search.folder_contents import FolderContents
from clipworks.search.folder_exchange import link_or_copy
from clipworks.search.index import Allowed


@dataclass(frozen=True)
class PartitionPart:
    """A partition, and which of its rows go on.

    Attributes:
        files: of the partition.
        kept: a bit for each of its rows.
    """

    files: PartitionFiles
    kept: Allowed


def partition_parts(
    folder: Path, contents: FolderContents, kept: Allowed | None
) -> list[PartitionPart]:
    """Cut a folder's bits into those of its partitions; partitions that keep no row are left out.

    Args:
        folder: whose partitions they are.
        contents: of the folder.
        kept: a bit for each row; None for all of them.
    """
    if kept is None:
        kept = np.ones(contents.metadata.size, bool)
    ends = np.cumsum(contents.metadata.file_sizes)[:-1]
    bits = np.split(kept, ends) if contents.metadata.file_sizes else []
    parts = [
        PartitionPart(files, part)
        for files, part in zip(existing_partitions(folder), bits, strict=True)
    ]
    return [part for part in parts if part.kept.any()] or parts[:1]


def write_partitions(folder: Path, parts: Sequence[PartitionPart], dims: dict[str, int]) -> None:
    """Write partitions to a new folder, numbered anew.

    Args:
        folder: that is new.
        parts: in order.
        dims: width of each modality's arrays; a part that lacks one gets zeros, which are like no
            query.

    Raises:
        OSError: the disk is full, or does not let us write.
    """
    for number, part in enumerate(parts):
        new = partition_files(folder, number, len(parts))
        for modality, source, target in _arrays(part.files, new):
            if modality in dims:
                _write_array(source, target, part.kept, dims[modality])
        _write_table(part.files.metadata, new.metadata, part.kept)
        if part.files.errors.is_file():
            link_or_copy(part.files.errors, new.errors)
        if part.files.stats.is_file():
            _write_stats(part.files.stats, new.stats, part.kept)


def _arrays(old: PartitionFiles, new: PartitionFiles) -> Iterator[tuple[str, Path, Path]]:
    yield "image", old.image_embeddings, new.image_embeddings
    yield "text", old.text_embeddings, new.text_embeddings


def _write_array(source: Path, target: Path, kept: Allowed, dim: int) -> None:
    if source.is_file() and kept.all():
        link_or_copy(source, target)
        return
    rows = np.zeros((int(kept.sum()), dim), np.float16)
    if source.is_file():
        rows = np.load(source, mmap_mode="r", allow_pickle=False)[kept]
    stream = io.BytesIO()
    np.save(stream, rows, allow_pickle=False)
    write_bytes_atomic(target, stream.getvalue())


def _write_table(source: Path, target: Path, kept: Allowed) -> None:
    if kept.all():
        link_or_copy(source, target)
        return
    with pq.ParquetFile(source) as file:
        groups = file.metadata.num_row_groups
        group_size = file.metadata.row_group(0).num_rows if groups else None
        table = file.read()
    stream = io.BytesIO()
    pq.write_table(table.filter(kept), stream, row_group_size=group_size)
    write_bytes_atomic(target, stream.getvalue())


def _write_stats(source: Path, target: Path, kept: Allowed) -> None:
    if kept.all():
        link_or_copy(source, target)
        return
    fields = json.loads(source.read_text("utf-8"))
    write_json_atomic(target, {**fields, "sample_count": int(kept.sum())})
