"""The samples of a tar, or of a stretch of one, by webdataset's rule."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import final

from clipworks.data.addresses import is_address, tar_address
from clipworks.data.contents import Content, Unreadable
from clipworks.data.picture_suffixes import PICTURE_SUFFIXES
from clipworks.data.remote_files import open_file
from clipworks.data.samples import Sample
from clipworks.data.tar_reader import BLOCK_BYTES, LARGEST_BYTES, TarMember, TarReader, decompressed
from clipworks.errors import InputError

_KEY = re.compile(r"((?:.*/)?[^./]+)\.([^/]*)", re.DOTALL)
_REMEMBERED_BORDERS = 4096


@dataclass(frozen=True, slots=True)
class TarSlice:
    """The samples whose first file begins in a stretch of a tar.

    Attributes:
        url: of the tar.
        start: in bytes; need not be where a file begins.
        stop: None for the end.
    """

    url: str
    start: int = 0
    stop: int | None = None


@dataclass(frozen=True)
class TarKeys:
    """Which extensions mean what; all in lower case and without the first dot."""

    image: tuple[str, ...]
    caption: tuple[str, ...] = ("txt",)
    fields: tuple[str, ...] = ("json",)

    @classmethod
    def parse(cls, image: str | None, caption: str | None) -> TarKeys:
        """Read what the user gave, as webdataset writes it: `jpg;png`."""
        pictures = tuple(sorted(suffix[1:] for suffix in PICTURE_SUFFIXES))
        return cls(_split(image) or pictures, _split(caption) or ("txt",))

    @property
    def roles(self) -> dict[str, str]:
        """What each extension means."""
        meanings = (("fields", self.fields), ("caption", self.caption), ("image", self.image))
        return {ending: meaning for meaning, endings in meanings for ending in endings}


def _split(text: str | None) -> tuple[str, ...]:
    words = re.split(r"[;,\s]+", text or "")
    return tuple(word.lower().lstrip(".") for word in words if word)


def split_name(name: str) -> tuple[str, str] | None:
    """Split a file's name at the first dot of its last part: `a/b.v2.jpg` is `a/b` and `v2.jpg`.

    It is webdataset's `base_plus_ext`. None for what belongs to no sample.
    """
    found = _KEY.fullmatch(name)
    if found is None or (found[1].startswith("__") and found[1].endswith("__")):
        return None
    return found[1], found[2].lower()


@final
class _Gathered:
    """The files of one sample, as they come."""

    def __init__(self, key: str, start: int) -> None:
        self.key = key
        self.start = start
        self._parts: dict[str, tuple[str, Content]] = {}
        self._first = ""

    def wants(self, part: str | None) -> bool:
        """Whether a file of this part would count: the first one does."""
        return part is not None and part not in self._parts

    def add(self, name: str, part: str | None, content: Content | None) -> None:
        """Take a file; without a content only its name."""
        self._first = self._first or name
        if part is not None and content is not None:
            self._parts[part] = (name, content)

    def has(self, part: str) -> bool:
        """Whether there is such a file."""
        return part in self._parts

    def sample(self, url: str) -> Sample:
        """What has been gathered, named by its picture, or by what else there is."""
        nothing: tuple[str, Content | None] = ("", None)
        image_name, image = self._parts.get("image", nothing)
        caption_name, caption = self._parts.get("caption", nothing)
        name = image_name or caption_name or self._first
        fields = self._parts.get("fields", nothing)[1]
        return Sample(tar_address(name, url), image, caption, fields)


def read_slice(
    part: TarSlice, keys: TarKeys, *, endings: dict[str, None] | None = None
) -> Iterator[Sample]:
    """Read the samples that begin in a stretch of a tar.

    Args:
        part: the stretch.
        keys: which files count.
        endings: gets the extensions that are met, for messages.

    Raises:
        InputError: the tar cannot be opened, is cut or damaged; what lies before it has been given.
    """
    with ExitStack() as held:
        stream, is_compressed = decompressed(held.enter_context(open_file(part.url)))
        held.callback(stream.close)
        start = find_border(part.url, part.start) if part.start else 0
        if start:
            stream.seek(start)
        can_seek = not is_compressed and not is_address(part.url)
        reader = TarReader(stream, position=start, can_seek=can_seek)
        seen: set[str] = set()
        for gathered in _gather(reader, part, keys.roles, {} if endings is None else endings):
            sample = gathered.sample(part.url)
            if sample.name in seen:
                twice = Unreadable("its name stands in this archive a second time")
                sample = Sample(sample.name, twice, twice)
            seen.add(sample.name)
            yield sample


def find_border(url: str, start: int) -> int:
    """Find where the first sample begins at or behind a byte of a plain local tar.

    Headers are jumped through from the nearest border that is known already.

    Raises:
        InputError: the tar cannot be opened, is cut or damaged.
    """
    if (url, start) in _BORDERS:
        return _BORDERS[url, start]
    known = [at for tar, at in list(_BORDERS) if tar == url and at < start]
    begin = _BORDERS[url, max(known)] if known else 0
    border, key = None, None
    with open_file(url) as stream:
        stream.seek(begin)
        reader = TarReader(stream, position=begin, can_seek=True)
        for member in reader:
            split = split_name(member.name)
            if split is None:
                continue
            if member.start >= start and split[0] != key:
                border = member.start
                break
            key = split[0]
    if border is None:  # behind the last file stands an end mark, of which one block has been read
        border = reader.position - BLOCK_BYTES
    _remember(url, start, border)
    return border


def _gather(
    reader: TarReader, part: TarSlice, roles: dict[str, str], endings: dict[str, None]
) -> Iterator[_Gathered]:
    current: _Gathered | None = None
    has_images = False
    try:
        for member in reader:
            split = split_name(member.name)
            if split is None:
                continue
            key, ending = split
            endings[f".{ending}"] = None
            if current is None or key != current.key:
                if current is not None:
                    yield current
                current = None
                if part.stop is not None and member.start >= part.stop:
                    _remember(part.url, part.stop, member.start)
                    return
                current = _Gathered(key, member.start)
            role = roles.get(ending)
            content = _read(reader, member) if current.wants(role) else None
            current.add(member.name, role, content)
            has_images = has_images or role == "image"
    except InputError:
        # Of the sample at the cut there may be all that matters.
        if current is not None and current.has("image" if has_images else "caption"):
            yield current
        raise
    if current is not None:
        yield current


def _read(reader: TarReader, member: TarMember) -> Content:
    if member.size_bytes > LARGEST_BYTES:
        return Unreadable(f"is larger than the limit of {LARGEST_BYTES >> 20} MiB")
    return reader.read(member)


_BORDERS: OrderedDict[tuple[str, int], int] = OrderedDict()


def _remember(url: str, start: int, border: int) -> None:
    _BORDERS[url, start] = border
    while len(_BORDERS) > _REMEMBERED_BORDERS:
        _BORDERS.popitem(last=False)
