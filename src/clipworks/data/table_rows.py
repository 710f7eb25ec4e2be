"""Rows of tables to samples: which column means what, and what its values mean."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from clipworks.data.addresses import is_address, protocol_of
from clipworks.data.contents import Content, Location, Unreadable
from clipworks.data.samples import Sample, flatten, storable
from clipworks.data.sources.source_options import Modality, Say, SourceOptions
from clipworks.errors import SettingsError

_IMAGE_NAMES = (
    *("image_path", "path", "file", "image", "url", "image_url", "bytes", "jpg"),
    *("file_name", "filename", "filepath", "file_path", "image_file", "png", "webp"),
)
_CAPTION_NAMES = ("caption", "text", "captions", "sentence", "alt_text")
_MANY = 20


@dataclass(frozen=True)
class ColumnChoice:
    """Which columns of a table are the sample, and where its relative paths begin.

    Attributes:
        image: holds paths, addresses, bytes, or Hugging Face's `{"bytes", "path"}`; or None.
        caption: or None.
        modality: what is embedded.
        base: a folder, or the address of one.
    """

    image: str | None
    caption: str | None
    modality: Modality
    base: str

    def rest(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """What a row holds beside picture and caption, flat.

        Raises:
            RecursionError: it is too deep.
        """
        taken = (self.image, self.caption)
        return _flat({column: value for column, value in row.items() if column not in taken})

    @property
    def options(self) -> dict[str, str]:
        """As options of `clipworks embed`."""
        chosen = {"image_column": self.image, "caption_column": self.caption}
        return {name: column for name, column in chosen.items() if column}


def _flat(fields: dict[str, Any]) -> dict[str, Any]:
    if any(isinstance(value, Mapping) for value in fields.values()):
        return flatten(fields)
    return fields


def choose_columns(
    names: Sequence[str],
    options: SourceOptions,
    *,
    where: str,
    base: str,
    say: Say,
    at_hand: Sequence[str] = (),
) -> ColumnChoice:
    """Take the columns that the user names, or those that bear one of the usual names.

    Args:
        names: of the table's columns.
        options: may name some.
        where: what errors call the table.
        base: where its relative paths begin.
        say: is told what was guessed.
        at_hand: those of the columns that hold pictures' bytes: they go before addresses.

    Raises:
        SettingsError: a column is not there, or none can be guessed; the message lists those that
            there are.
    """
    image = _choose(names, options.image_column, where, "--image-column")
    caption = _choose(names, options.caption_column, where, "--caption-column")
    guessed = []
    if image is None and options.modality != "text":
        image = _guess(at_hand, _IMAGE_NAMES, but=caption) or _guess(
            names, _IMAGE_NAMES, but=caption
        )
        guessed += [f"pictures from column {image!r} (--image-column)"] if image else []
    if caption is None and options.modality != "image":
        caption = _guess(names, _CAPTION_NAMES, but=image)
        guessed += [f"captions from column {caption!r} (--caption-column)"] if caption else []
    if image is None and (caption is None or options.wants_images):
        raise SettingsError(
            f"{where} has no column that is known to hold pictures: name one with --image-column; "
            f"there are {_list(names)}"
        )
    if caption is None and options.modality in ("text", "both"):
        raise SettingsError(
            f"{where} has no column that is known to hold captions: name one with "
            f"--caption-column; there are {_list(names)}"
        )
    modality = options.settle(where, images=image is not None, captions=caption is not None)
    if guessed:
        say(f"{where}: {', '.join(guessed)}")
    return ColumnChoice(image, caption, modality, base)


def sample_of_row(row: Mapping[str, Any], choice: ColumnChoice, *, name: str) -> Sample:
    """Make a sample of a row.

    Args:
        row: the values by column.
        choice: of columns.
        name: of the sample where its picture has no place of its own.
    """
    value = row.get(choice.image) if choice.image else None
    image = _content(value, choice.base)
    caption = row.get(choice.caption) if choice.caption else None
    fields = choice.rest(row)
    if isinstance(value, Mapping) and value.get("path"):
        fields[f"{choice.image}.path"] = value["path"]
    return Sample(
        image.url if isinstance(image, Location) else name,
        image,
        caption if caption is None or isinstance(caption, str) else str(caption),
        fields,
    )


def place_of(text: str, base: str) -> Location | Unreadable:
    """Where a path or an address that somebody wrote leads; relative ones begin at `base`."""
    if protocol_of(text) == "file":
        text = unquote(text.partition("://")[2].removeprefix("localhost"))
    if is_address(text):
        return Location(text)
    if "\0" in text:
        return Unreadable("is not a path: a null byte stands in it")
    if is_address(base):
        return Location(f"{base.rstrip('/')}/{text.lstrip('/')}")
    return Location(os.path.normpath(Path(base) / text))


def _content(value: object, base: str) -> Content | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return place_of(value, base)
    if isinstance(value, bytes):
        return value
    if isinstance(value, Mapping):
        content = value.get("bytes")
        return _content(value.get("path") if content is None else content, base)
    return Unreadable(f"expected a path, an address or bytes, found {type(value).__name__}")


def _choose(names: Sequence[str], wanted: str | None, where: str, option: str) -> str | None:
    if wanted is not None and wanted not in names:
        raise SettingsError(
            f"{where} has no column {wanted!r} ({option}); there are {_list(names)}"
        )
    return wanted


def _guess(names: Sequence[str], usual: Sequence[str], *, but: str | None) -> str | None:
    """The first of the usual names that is there, in whatever case."""
    for wanted in usual:
        for name in names:
            if name.lower() == wanted and name != but:
                return name
    return None


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(storable(repr(name)) for name in names[:_MANY])
    return shown + (f" and {len(names) - _MANY} more" if len(names) > _MANY else "")
