"""The embedding folder: which files lie in it, what they are called, and its manifest.

It is clip-retrieval's layout and two things more (`manifest.json` and `errors/`):

    manifest.json                   which model and settings made the folder
    img_emb/img_emb_{N}.npy         unit rows [sample dim], float16 (or see `stored_rows`)
    text_emb/text_emb_{N}.npy       unit rows [sample dim], the same
    metadata/metadata_{N}.parquet   image_path, caption, further columns; one row a sample
    errors/{N}.jsonl                what could not be read, each with its reason; only where need be
    stats/{N}.json                  the done record: written last, so that what has it is whole
    totals.json                     the records' sum so far; in folders of many partitions only

N is the number of a partition, counted from 0 and zero-padded to the digits of the partitions'
count, as clip-retrieval pads it. Row r of a partition's arrays and of its table are one sample.
A sample without a caption among samples that have one keeps its row of `text_emb`: zeros, which
are like no query. A folder in which no sample has a caption has no `text_emb`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from clipworks.errors import FolderError
from clipworks.files import read_versioned_json, write_json_atomic

FORMAT_VERSION = 1
MANIFEST_FILE = "manifest.json"
TOTALS_FILE = "totals.json"
IMAGE_FOLDER = "img_emb"
TEXT_FOLDER = "text_emb"
METADATA_FOLDER = "metadata"
ERRORS_FOLDER = "errors"
STATS_FOLDER = "stats"
IMAGE_PATH_COLUMN = "image_path"
CAPTION_COLUMN = "caption"

_NUMBER = re.compile(r"(\d+)$")


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` says: all that decides the numbers in the folder.

    Attributes:
        model: the model's name, as its card has it.
        fingerprint: of the model.
        embedding_dim: width of the joint space, or what is kept of it.
        settings: what else decides the folder's content: options of `clipworks embed` by name.
        source: where the samples came from, for people.
        num_partitions: how many there will be when the folder is complete.
        num_samples: in the source, before any is skipped; None where it does not tell.
        listing_digest: a hash over what decides the samples and their order.
        columns: of the metadata, after the path and the caption: each name with its type. None
            where each partition has its own.
        format_version: of this layout.
    """

    model: str
    fingerprint: str
    embedding_dim: int
    settings: dict[str, Any]
    source: str
    num_partitions: int
    num_samples: int | None
    listing_digest: str
    columns: dict[str, str] | None = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def to_json(self) -> dict[str, Any]:
        """Plain values for `manifest.json`."""
        return asdict(self)


@dataclass(frozen=True)
class PartitionFiles:
    """Where one partition's files lie, whether or not they are there yet."""

    number: int
    image_embeddings: Path
    text_embeddings: Path
    metadata: Path
    errors: Path
    stats: Path


def partition_files(folder: Path, number: int, num_partitions: int) -> PartitionFiles:
    """Name the files of partition `number`, counted from 0, of `num_partitions`."""
    assert 0 <= number < num_partitions
    return _files_of(folder, number, str(number).zfill(_count_digits(num_partitions)))


def read_manifest(folder: Path) -> Manifest | None:
    """Read a folder's manifest; None where there is none (clip-retrieval's own folders).

    Raises:
        FolderError: the folder does not exist, or its manifest is damaged or of another format.
    """
    if not folder.is_dir():
        raise FolderError(
            f"{folder} is not a folder: `clipworks embed PICTURES --out {folder}` makes it"
        )
    path = folder / MANIFEST_FILE
    fields = read_versioned_json(
        path, version=FORMAT_VERSION, remedy="embed again", error=FolderError
    )
    try:
        return None if fields is None else Manifest(**fields)
    except TypeError as error:
        raise FolderError(f"{path} is not complete or not ours: {error}") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json`, whole or not at all; the folder comes into being if need be."""
    write_json_atomic(folder / MANIFEST_FILE, manifest.to_json())


def missing_partitions(folder: Path, manifest: Manifest) -> list[int]:
    """Number the partitions that have no done record yet.

    The records are listed, not looked for one by one: there may be millions, and far away.
    """
    total = manifest.num_partitions
    try:
        with os.scandir(folder / STATS_FOLDER) as entries:
            names = {entry.name for entry in entries}
    except FileNotFoundError:
        return list(range(total))
    digits = _count_digits(total)
    return [n for n in range(total) if f"{str(n).zfill(digits)}.json" not in names]


def existing_partitions(folder: Path) -> Iterator[PartitionFiles]:
    """Go through the partitions whose metadata lie in the folder, in the order of their numbers.

    It is the reader's view, and counts on no manifest and no padding: 2 comes before 10.
    """
    digits_of = {}
    for path in (folder / METADATA_FOLDER).glob("*.parquet"):
        if found := _NUMBER.search(path.stem):
            digits_of[int(found[1])] = found[1]
    for number in sorted(digits_of):
        yield _files_of(folder, number, digits_of[number])


def _count_digits(num_partitions: int) -> int:
    return len(str(num_partitions))


def _files_of(folder: Path, number: int, digits: str) -> PartitionFiles:
    return PartitionFiles(
        number=number,
        image_embeddings=folder / IMAGE_FOLDER / f"img_emb_{digits}.npy",
        text_embeddings=folder / TEXT_FOLDER / f"text_emb_{digits}.npy",
        metadata=folder / METADATA_FOLDER / f"metadata_{digits}.parquet",
        errors=folder / ERRORS_FOLDER / f"{digits}.jsonl",
        stats=folder / STATS_FOLDER / f"{digits}.json",
    )
