"""What a sample's parts hold: bytes at hand, or a place to read them from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from clipworks.data.addresses import is_address, read_address
from clipworks.data.downloads import FetchLimits
from clipworks.errors import InputError

_GLANCE = FetchLimits(timeout_s=5.0, tries=1)


@dataclass(frozen=True, slots=True)
class Location:
    """Where some bytes lie; a plain string, since there may be millions of them.

    Attributes:
        url: an absolute local path, with a file name that is no UTF-8 intact, or an address as
            `clipworks.data.addresses` reads them.
    """

    url: str

    @property
    def path(self) -> Path | None:
        """The local file; None where it is elsewhere, or within another file."""
        return None if is_address(self.url) else Path(self.url)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """In place of bytes that the source itself could not get at.

    Attributes:
        reason: why, without the sample's name.
    """

    reason: str


Content = bytes | Location | Unreadable


def read_content(content: Content) -> bytes:
    """Get the bytes.

    Raises:
        InputError: they cannot be read; the message leaves the place out.
    """
    if isinstance(content, bytes):
        return content
    if isinstance(content, Unreadable):
        raise InputError(content.reason)
    if content.path is None:
        return read_address(content.url)
    try:
        return content.path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a null byte
        raise InputError(f"is not a path: {error}") from error


def open_again(image_path: str) -> Path | bytes:
    """Find a picture that metadata name, for whoever wants to show it: its file, or its bytes.

    There is little patience with addresses, since somebody is waiting.

    Raises:
        InputError: an address cannot be read; the message leaves it out.
    """
    path = Location(image_path).path
    return read_address(image_path, _GLANCE) if path is None else path
