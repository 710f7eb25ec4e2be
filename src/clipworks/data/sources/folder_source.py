"""Pictures in a folder and below it, with the `.txt` and `.json` files that bear their names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

from clipworks.data.columns import find_columns
from clipworks.data.contents import Location
from clipworks.data.partitions import ListedPartition, count_partitions, get_partition
from clipworks.data.samples import Sample, read_fields, storable
from clipworks.data.sources.source import AbstractSource
from clipworks.errors import FolderError, InputError
from clipworks.extras import require

PICTURE_SUFFIXES = frozenset(
    (".avif", ".bmp", ".gif", ".heic", ".heif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
)
_HEIF_SUFFIXES = (".heic", ".heif")
CAPTION_SUFFIX = ".txt"
FIELDS_SUFFIX = ".json"


@final
class FolderSource(AbstractSource):
    """The pictures of a folder.

    Args:
        folder: is read with the folders below it.
        partition_size: samples in one partition.

    Raises:
        FolderError: the folder, or one below it, cannot be read, or no picture is there.
        MissingExtraError: there are pictures that an optional library reads.
    """

    def __init__(self, folder: Path, *, partition_size: int) -> None:
        self._listing = list_folder(folder)
        if any(sample.name.lower().endswith(_HEIF_SUFFIXES) for sample in self._listing.samples):
            require("pillow_heif", "reading HEIC pictures")
        self._partition_size = partition_size

    @property
    def description(self) -> str:
        """The folder's absolute path."""
        return storable(str(self._listing.folder))

    @property
    def digest(self) -> str:
        """A hash over the names of all files that count, below the folder."""
        return self._listing.digest

    @property
    def num_samples(self) -> int:
        """The pictures."""
        return len(self._listing.samples)

    @property
    def num_partitions(self) -> int:
        """How many pieces they are cut into."""
        return count_partitions(self.num_samples, self._partition_size)

    @property
    def has_images(self) -> bool:
        """A folder without pictures is no source."""
        return True

    @property
    def has_captions(self) -> bool:
        """Whether any picture has a caption file."""
        return any(sample.caption for sample in self._listing.samples)

    @cached_property
    def columns(self) -> dict[str, str]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """What the JSON files hold: the first look reads all of them."""
        return find_columns(map(_readable_fields, self._listing.samples))

    def partition(self, number: int) -> ListedPartition:
        """One of the partitions."""
        return get_partition(self._listing.samples, self._partition_size, number)


@dataclass(frozen=True)
class FolderListing:
    """What a folder holds.

    Attributes:
        folder: absolute, free of links.
        samples: sorted by the bytes of their paths.
        digest: a hash over the names of all files that count, below the folder.
    """

    folder: Path
    samples: list[Sample]
    digest: str


def list_folder(folder: Path) -> FolderListing:
    """List a folder's pictures; a caption or fields belong to each picture of their stem there.

    Linked folders are followed, and no folder is read twice. Dangling links are listed, so that
    whoever opens them learns of it.

    Raises:
        FolderError: the folder, or one below it, cannot be read, or no picture is there.
    """
    if not folder.is_dir():
        raise FolderError(f"{folder} is not a folder: expected one that holds pictures")
    root = folder.resolve()
    files = _list_files(root)
    samples = sorted(_pair(files), key=lambda sample: os.fsencode(sample.name))
    if not samples:
        kinds = ", ".join(sorted(suffix[1:] for suffix in PICTURE_SUFFIXES))
        raise FolderError(f"{folder} holds no pictures, nor does a folder below it ({kinds})")
    return FolderListing(root, samples, _digest(samples, root))


def _pair(files: Iterable[str]) -> Iterator[Sample]:
    pictures: list[str] = []
    beside: dict[str, dict[str, str]] = {CAPTION_SUFFIX: {}, FIELDS_SUFFIX: {}}
    for path in sorted(files):
        stem, suffix = os.path.splitext(path)  # noqa: PTH122 - Path is slow a million times
        if suffix.lower() in PICTURE_SUFFIXES:
            pictures.append(path)
        elif suffix.lower() in beside:
            beside[suffix.lower()][stem] = path
    for path in pictures:
        stem = os.path.splitext(path)[0]  # noqa: PTH122
        caption, fields = (beside[suffix].get(stem) for suffix in (CAPTION_SUFFIX, FIELDS_SUFFIX))
        yield Sample(path, Location(path), _located(caption), _located(fields))


def _readable_fields(sample: Sample) -> Mapping[str, Any]:
    try:
        return read_fields(sample.fields)
    except InputError:
        return {}  # reported where the sample itself is read


def _located(path: str | None) -> Location | None:
    return Location(path) if path else None


def _digest(samples: Iterable[Sample], root: Path) -> str:
    hasher = hashlib.sha256()
    start = len(os.fsencode(root)) + 1
    for sample in samples:
        for part in (sample.image, sample.caption, sample.fields):
            hasher.update(os.fsencode(part.url)[start:] if isinstance(part, Location) else b"")
            hasher.update(b"\0")
    return hasher.hexdigest()


def _list_files(root: Path) -> list[str]:
    """Every file below the root: first the folders that really lie there, then the linked ones."""
    files: list[str] = []
    seen: set[tuple[int, int]] = set()
    waiting = [str(root)]
    while waiting:
        links: list[str] = []
        for folder in waiting:
            if _is_new(folder, root, seen):
                _walk(folder, files, links, seen)
        waiting = sorted(links, key=os.fsencode)
    return files


def _is_new(folder: str, root: Path, seen: set[tuple[int, int]]) -> bool:
    """Whether a folder is yet to be read; one that holds the root itself never is."""
    target = Path(folder).resolve()
    if target != root and root.is_relative_to(target):
        return False
    return _identity(folder) not in seen


def _identity(folder: str) -> tuple[int, int]:
    try:
        status = os.stat(folder)  # noqa: PTH116
    except OSError as error:
        raise FolderError(f"{folder} cannot be read: {error.strerror}") from error
    return status.st_dev, status.st_ino


def _walk(start: str, files: list[str], links: list[str], seen: set[tuple[int, int]]) -> None:
    waiting = [start]
    while waiting:
        folder = waiting.pop()
        identity = _identity(folder)
        if identity in seen:
            continue
        seen.add(identity)
        for entry in _entries(folder):
            if not _is_folder(entry):
                if _is_file(entry):
                    files.append(entry.path)
            elif entry.is_symlink():
                links.append(entry.path)
            else:
                waiting.append(entry.path)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise FolderError(f"{folder} cannot be read: {error.strerror}") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads back to itself
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether it is a file or a link that leads nowhere; pipes and devices are neither."""
    try:
        return entry.is_file() or (entry.is_symlink() and not Path(entry.path).exists())
    except OSError:
        return True
