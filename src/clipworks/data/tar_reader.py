"""Goes through a tar's files once, in order, without keeping any of them.

Python's own `tarfile` remembers every member, and takes a cut or damaged archive for a whole one
that ends there. Its parser of single headers serves here too.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast, final

from clipworks.errors import InputError

LARGEST_BYTES = 1 << 30
"""A larger file in a tar is no picture and no caption, and is not read into memory."""

BLOCK_BYTES = tarfile.BLOCKSIZE
_LARGEST_EXTENSION = 1 << 20
_PIECE = 16 << 20
_FILES = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE})
_GNU_NAME, _PAX = tarfile.GNUTYPE_LONGNAME, frozenset({tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE})
_DECOMPRESSORS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", lzma.open))


@dataclass(frozen=True, slots=True)
class TarMember:
    """A file in a tar.

    Attributes:
        name: bytes that are no UTF-8 are kept as `os.fsdecode` keeps them.
        start: where its first header begins, in bytes.
        data: where its content begins.
        size_bytes: of its content.
    """

    name: str
    start: int
    data: int
    size_bytes: int


@final
class TarReader:
    """The files of a tar, one after the other.

    Args:
        stream: stands at a header.
        position: of the stream, in bytes.
        can_seek: whether the stream may jump over what nobody reads.
    """

    def __init__(self, stream: BinaryIO, *, position: int = 0, can_seek: bool = False) -> None:
        self._stream = stream
        self._position = position
        self._can_seek = can_seek

    @property
    def position(self) -> int:
        """Of the stream, in bytes."""
        return self._position

    def __iter__(self) -> Iterator[TarMember]:
        """Go through the files; folders, links and devices are left out.

        Raises:
            InputError: the archive is cut or damaged, or is no tar.
        """
        start, name, size = self._position, None, None
        while (header := self._next_header()) is not None:
            if header.type == _GNU_NAME:
                raw = self._extension(header)
                name = raw.rstrip(b"\0").decode("utf-8", "surrogateescape")
            elif header.type in _PAX:
                name, size = _pax(self._extension(header), name, size)
            else:
                member = TarMember(
                    name or header.name,
                    start,
                    self._position,
                    header.size if size is None else size,
                )
                has_content = header.type in _FILES or header.type not in tarfile.SUPPORTED_TYPES
                end = self._position + (_padded(member.size_bytes) if has_content else 0)
                if header.type in _FILES:
                    yield member
                self._skip_to(end)
                start, name, size = end, None, None

    def read(self, member: TarMember) -> bytes:
        """Read the file that was given last.

        Raises:
            InputError: the archive ends within it, or it is too large.
        """
        assert self._position == member.data
        if member.size_bytes > LARGEST_BYTES:
            raise InputError(f"is larger than the limit of {LARGEST_BYTES >> 20} MiB")
        return self._read(member.size_bytes)

    def _next_header(self) -> tarfile.TarInfo | None:
        begin = self._position
        block = self._read(BLOCK_BYTES, may_end=True)
        if not block:
            end = self._stream.seek(0, io.SEEK_END) if self._can_seek else begin
            if end < begin:
                raise InputError(f"the archive is cut off at byte {end}")
            if begin:
                raise InputError(f"the archive ends at byte {begin} without its end mark")
            raise InputError("the archive is empty (0 bytes)")
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            if not any(block):
                return None
            if not begin:
                raise InputError("is no tar archive") from error
            raise InputError(f"the archive is damaged at byte {begin}: {error}") from error
        if header.size < 0:
            raise InputError(f"the archive is damaged at byte {begin}: a size below 0")
        return header

    def _extension(self, header: tarfile.TarInfo) -> bytes:
        if header.size > _LARGEST_EXTENSION:
            raise InputError(f"the archive is damaged at byte {self._position}: a name too long")
        return self._read(_padded(header.size))[: header.size]

    def _skip_to(self, end: int) -> None:
        if self._can_seek:
            self._stream.seek(end)
            self._position = end
        while self._position < end:
            self._read(min(end - self._position, _PIECE))

    def _read(self, size: int, *, may_end: bool = False) -> bytes:
        pieces, begin = [], self._position
        while (missing := begin + size - self._position) > 0:
            try:
                piece = self._stream.read(min(missing, _PIECE))
            except Exception as error:  # every storage and every compression has its own
                reason = " ".join(str(error).split()) or type(error).__name__
                raise InputError(f"the archive cannot be read on: {reason}") from error
            if not piece:
                if may_end and self._position == begin:
                    return b""
                if may_end and not begin:
                    raise InputError("is no tar archive")
                raise InputError(f"the archive is cut off at byte {self._position}")
            pieces.append(piece)
            self._position += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def decompressed(stream: BinaryIO) -> tuple[BinaryIO, bool]:
    """Look through gzip, bzip2 and xz, told by their first bytes, and say whether there was one.

    Raises:
        InputError: the first bytes cannot be read.
    """
    buffered = io.BufferedReader(cast("io.RawIOBase", stream), 1 << 17)
    try:
        prefix = buffered.peek(8)
    except Exception as error:  # every storage has its own
        raise InputError(f"cannot be read: {' '.join(str(error).split())}") from error
    for signature, opener in _DECOMPRESSORS:
        if prefix.startswith(signature):
            return cast("BinaryIO", opener(buffered)), True
    return buffered, False


def _padded(size: int) -> int:
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES


def _pax(raw: bytes, name: str | None, size: int | None) -> tuple[str | None, int | None]:
    """Read records of the form `LENGTH KEY=VALUE` and a newline."""
    while raw:
        length, _, rest = raw.partition(b" ")
        if not length.isdigit() or not 0 < int(length) <= len(raw):
            raise InputError("the archive is damaged: an extended header makes no sense")
        key, _, value = rest[: int(length) - len(length) - 2].partition(b"=")
        if key == b"path":
            name = value.decode("utf-8", "surrogateescape")
        elif key == b"size" and value.isdigit():
            size = int(value)
        raw = raw[int(length) :]
    return name, size
