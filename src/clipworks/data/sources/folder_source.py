"""Pictures in a folder and below it, with the `.txt` and `.json` files that bear their names.

Where texts alone are wanted, or no picture is there, each `.txt` file is a sample.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, final

from clipworks.data.columns import find_columns
from clipworks.data.contents import Location
from clipworks.data.partitions import ListedPartition, count_partitions, get_partition
from clipworks.data.picture_suffixes import PICTURE_SUFFIXES
from clipworks.data.samples import Sample, read_fields, storable
from clipworks.data.sources.source import AbstractSource
from clipworks.data.sources.source_options import SourceOptions
from clipworks.errors import FolderError, InputError
from clipworks.extras import require

_HEIF_SUFFIXES = (".heic", ".heif")
CAPTION_SUFFIX = ".txt"
FIELDS_SUFFIX = ".json"


@final
class FolderSource(AbstractSource):
    """The pictures of a folder.

    Args:
        folder: is read with the folders below it.
        partition_size: samples in one partition.
        modality: what is embedded; `auto` for what there is.

    Raises:
        FolderError: the folder, or one below it, cannot be read, or nothing that is wanted is
            there.
        SettingsError: captions are wanted, and there are none.
        MissingExtraError: there are pictures that an optional library reads.
    """

    def __init__(
        self,
        folder: Path,
        *,
        partition_size: int,
        modality: Literal["auto", "image", "text", "both"] = "auto",
    ) -> None:
        options = SourceOptions(partition_size, modality=modality)
        self._listing = _list_wanted(folder, options)
        samples = self._listing.samples
        has_images = samples[0].image is not None
        if has_images and any(_is_heif(sample.name) for sample in samples):
            require("pillow_heif", "reading HEIC pictures")
        has_captions = any(sample.caption for sample in samples)
        self._modality = options.settle(str(folder), images=has_images, captions=has_captions)
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
        """The pictures, or the texts."""
        return len(self._listing.samples)

    @property
    def num_partitions(self) -> int:
        """How many pieces they are cut into."""
        return count_partitions(self.num_samples, self._partition_size)

    @property
    def has_images(self) -> bool:
        """Whether pictures are embedded."""
        return self._modality != "text"

    @property
    def has_captions(self) -> bool:
        """Whether any picture has a caption file, which is embedded too; or texts alone are."""
        return self._modality != "image"

    @property
    def options(self) -> dict[str, str]:
        """What is embedded."""
        return {"modality": self._modality}

    @cached_property
    def columns(self) -> dict[str, str]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """What the JSON files hold: the first look reads all of them."""
        return find_columns(map(readable_fields, self._listing.samples))

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
    root, files = list_all_files(folder)
    return _listing(folder, root, pair_pictures(files))


def list_texts(folder: Path) -> FolderListing:
    """List a folder's `.txt` files, each with the fields of its stem there.

    Raises:
        FolderError: the folder, or one below it, cannot be read, or no text is there.
    """
    root, files = list_all_files(folder)
    samples = list(pair_texts(files))
    if not samples:
        raise FolderError(f"{folder} holds no texts (.txt), nor does a folder below it")
    return _listing(folder, root, samples)


def list_all_files(folder: Path) -> tuple[Path, list[str]]:
    """List every file in a folder and below it; give where the folder really lies, too.

    Raises:
        FolderError: the folder, or one below it, cannot be read.
    """
    if not folder.is_dir():
        raise FolderError(f"{folder} is not a folder: expected one that holds pictures")
    root = folder.resolve()
    return root, _list_files(root)


def pair_pictures(files: Iterable[str]) -> Iterator[Sample]:
    """Make a sample of each picture, with what lies beside it; files are paths or addresses."""
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


def pair_texts(files: Iterable[str]) -> Iterator[Sample]:
    """Make a sample of each text, with its fields; files are paths or addresses."""
    texts: list[str] = []
    fields: dict[str, str] = {}
    for path in sorted(files):
        stem, suffix = os.path.splitext(path)  # noqa: PTH122 - Path is slow a million times
        if suffix.lower() == CAPTION_SUFFIX:
            texts.append(path)
        elif suffix.lower() == FIELDS_SUFFIX:
            fields[stem] = path
    for path in texts:
        beside = fields.get(os.path.splitext(path)[0])  # noqa: PTH122
        yield Sample(path, caption=Location(path), fields=_located(beside))


def digest_of_names(samples: Iterable[Sample], start: int = 0) -> str:
    """Hash the names of all files that the samples consist of, without their first bytes."""
    hasher = hashlib.sha256()
    for sample in samples:
        for part in (sample.image, sample.caption, sample.fields):
            hasher.update(os.fsencode(part.url)[start:] if isinstance(part, Location) else b"")
            hasher.update(b"\0")
    return hasher.hexdigest()


def readable_fields(sample: Sample) -> Mapping[str, Any]:
    """Read the fields; none where they cannot be read."""
    try:
        return read_fields(sample.fields)
    except InputError:
        return {}  # reported where the sample itself is read


def _list_wanted(folder: Path, options: SourceOptions) -> FolderListing:
    if options.modality == "text":
        return list_texts(folder)
    try:
        return list_folder(folder)
    except FolderError:
        if options.wants_images:
            raise
        try:
            return list_texts(folder)
        except FolderError:
            pass
        raise


def _listing(folder: Path, root: Path, samples: Iterable[Sample]) -> FolderListing:
    ordered = sorted(samples, key=lambda sample: os.fsencode(sample.name))
    if not ordered:
        kinds = ", ".join(sorted(suffix[1:] for suffix in PICTURE_SUFFIXES))
        raise FolderError(f"{folder} holds no pictures, nor does a folder below it ({kinds})")
    return FolderListing(root, ordered, digest_of_names(ordered, len(os.fsencode(root)) + 1))


def _is_heif(name: str) -> bool:
    return name.lower().endswith(_HEIF_SUFFIXES)


def _located(path: str | None) -> Location | None:
    return Location(path) if path else None


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
