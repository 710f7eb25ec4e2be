"""A sample: one picture, and the caption and the further fields that lie beside it.

Paths are plain strings: there may be millions of them, and a name that is no UTF-8 stays intact.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipworks.errors import InputError


@dataclass(frozen=True, slots=True)
class Sample:
    """Where one sample's parts lie.

    Attributes:
        image_path: absolute.
        caption_path: a text file, or None.
        fields_path: a JSON file with an object in it, or None.
    """

    image_path: str
    caption_path: str | None = None
    fields_path: str | None = None


def read_caption(path: str) -> str | None:
    """Read a caption, without the space around it; None where there is nothing but space.

    Bytes that are no UTF-8 become the replacement character.

    Raises:
        InputError: the file cannot be read; the message leaves the path out.
    """
    return _read_bytes(path).decode("utf-8-sig", errors="replace").strip() or None


def read_fields(path: str) -> dict[str, Any]:
    """Read a JSON object, flattened: `{"a": {"b": 1}}` is `{"a.b": 1}`.

    Raises:
        InputError: the file cannot be read as such; the message leaves the path out.
    """
    raw = _read_bytes(path)
    try:
        content = json.loads(raw)
        if isinstance(content, dict):
            return dict(_flatten(content, ""))
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {error}") from error
    raise InputError(f"expected a JSON object, found {type(content).__name__}")


def storable(text: str) -> str:
    r"""The text as UTF-8 can hold it: bytes of a file name that are no UTF-8 become `\udc..`."""
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")


def _read_bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}") from error


def _flatten(content: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield storable(f"{prefix}{name}"), value
