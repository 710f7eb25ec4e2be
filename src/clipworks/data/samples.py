"""A sample: a picture, a caption and further fields, or what there is of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clipworks.data.contents import Content, read_content
from clipworks.errors import InputError

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample as its source gives it; whoever needs a part reads it.

    Attributes:
        name: what the metadata and the errors call it: a picture's absolute path or its address,
            so that it can be found again. It is unique, but for what the source itself has twice.
        image: the picture's file; None where there is none.
        caption: a text, or the text file that holds it.
        fields: flat, or the file of a JSON object.
    """

    name: str
    image: Content | None = None
    caption: Content | str | None = None
    fields: Content | Mapping[str, Any] | None = None


def read_caption(caption: Content | str | None) -> str | None:
    """Read a caption, without the space around it; None where there is nothing but space.

    What is no UTF-8 becomes the replacement character.

    Raises:
        InputError: the file cannot be read; the message leaves its place out.
    """
    if caption is None:
        return None
    if not isinstance(caption, str):
        caption = read_content(caption).decode("utf-8-sig", errors="replace")
    return _LONE_SURROGATE.sub("\ufffd", caption).strip() or None


def read_fields(fields: Content | Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Read a JSON object, flattened: `{"a": {"b": 1}}` is `{"a.b": 1}`.

    Raises:
        InputError: the file cannot be read as such; the message leaves its place out.
    """
    if fields is None:
        return {}
    if isinstance(fields, Mapping):
        return fields
    raw = read_content(fields)
    try:
        content = json.loads(raw)
        if isinstance(content, dict):
            return flatten(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {error}") from error
    raise InputError(f"expected a JSON object, found {type(content).__name__}")


def storable(text: str) -> str:
    r"""The text as UTF-8 can hold it: bytes of a file name that are no UTF-8 become `\udc..`."""
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")


def flatten(content: Mapping[str, Any]) -> dict[str, Any]:
    """Turn `{"a": {"b": 1}}` into `{"a.b": 1}`.

    Raises:
        RecursionError: it is too deep.
    """
    return dict(_flatten(content, ""))


def _flatten(content: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield storable(f"{prefix}{name}"), value
