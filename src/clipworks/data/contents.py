"""What a sample's parts hold: bytes at hand, or a place to read them from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from clipworks.errors import InputError


@dataclass(frozen=True, slots=True)
class Location:
    """Where some bytes lie; a plain string, since there may be millions of them.

    Attributes:
        url: a local path; a file name that is no UTF-8 stays intact.
    """

    url: str


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
    try:
        return Path(content.url).read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}") from error
