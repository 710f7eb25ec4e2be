"""Chosen samples as a folder of their own: pictures, captions and a table of what they are.

Pictures keep their names; the second of one name becomes `name-2.jpg`. `samples.csv` is written
last: a folder that has it is whole. A run that was stopped goes on when it is repeated.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from clipworks.data.addresses import short_name
from clipworks.data.contents import open_again
from clipworks.errors import FolderError, InputError
from clipworks.files import atomic_path, read_versioned_json, write_bytes_atomic, write_json_atomic

LinkKind = Literal["copy", "hard", "symbolic"]
TABLE_FILE = "samples.csv"
MARK_FILE = ".clipworks-copy.json"
_FORMAT_VERSION = 1
_NO_NAMES = {TABLE_FILE, MARK_FILE, ""}

Report = Callable[[int, int], None]
"""Is called with the samples done and the samples in all."""


@dataclass(frozen=True)
class CopiedSample:
    """One sample that is to be copied.

    Attributes:
        id: its row in the folder that it was chosen from.
        image_path: its picture.
        caption: written beside the picture as `.txt`; None for no such file.
        fields: further columns of the table.
    """

    id: int
    image_path: str
    caption: str | None
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class CopyReport:
    """What came of it.

    Attributes:
        copied: how many pictures are in the folder.
        failed: the paths of those that could not be copied, each with its reason.
    """

    copied: int
    failed: list[tuple[str, str]]


def copy_samples(
    samples: Sequence[CopiedSample],
    out: Path,
    *,
    link: LinkKind = "copy",
    report: Report | None = None,
) -> CopyReport:
    """Copy or link pictures into a folder; what cannot be read is left out and reported.

    Args:
        samples: in the order that the table is to have.
        out: the folder: new, empty, or of a stopped run with the same samples.
        link: whether to copy, or to link (`hard` copies where the file lies on another disk).
        report: is told how far the work is.

    Raises:
        FolderError: the folder holds something else, or cannot be written.
    """
    try:
        _open_folder(out, samples, link)
        failed: list[tuple[str, str]] = []
        rows: list[dict[str, Any]] = []
        for done, (name, sample) in enumerate(zip(_names(samples), samples, strict=True), 1):
            reason = _place(sample.image_path, out / name, link)
            if reason:
                failed.append((sample.image_path, reason))
            else:
                if sample.caption:
                    write_bytes_atomic(
                        (out / name).with_suffix(".txt"), f"{sample.caption}\n".encode()
                    )
                rows.append(_table_row(name, sample))
            if report:
                report(done, len(samples))
        _write_table(out / TABLE_FILE, rows)
        (out / MARK_FILE).unlink(missing_ok=True)
    except OSError as error:
        raise FolderError(f"{out} cannot be written: {error.strerror or error}") from error
    return CopyReport(len(rows), failed)


def _open_folder(out: Path, samples: Sequence[CopiedSample], link: LinkKind) -> None:
    hasher = hashlib.sha256(link.encode())
    for sample in samples:
        hasher.update(json.dumps([sample.image_path, sample.caption]).encode())
    digest = hasher.hexdigest()
    if out.exists() and not out.is_dir():
        raise FolderError(f"{out} is a file: give a folder")
    if out.is_dir() and any(out.iterdir()):
        mark = read_versioned_json(
            out / MARK_FILE, version=_FORMAT_VERSION, remedy="give a new folder", error=FolderError
        )
        if mark is None or mark.get("digest") != digest:
            raise FolderError(f"{out} is not empty: give a new folder, or empty this one")
    write_json_atomic(out / MARK_FILE, {"format_version": _FORMAT_VERSION, "digest": digest})


def _names(samples: Iterable[CopiedSample]) -> Iterator[str]:
    """A name for each picture; their stems differ too, since captions go by them.

    Letters' case does not tell names apart everywhere, so it does not here.
    """
    taken: set[str] = set()
    times: dict[str, int] = {}
    for sample in samples:
        name = short_name(sample.image_path)
        name = f"picture{sample.id}" if name in _NO_NAMES else name
        stem, dot, suffix = name.rpartition(".") if "." in name[1:] else (name, "", "")
        number = times.get(stem.lower(), 0)
        while True:
            number += 1
            new_stem = stem if number == 1 else f"{stem}-{number}"
            if new_stem.lower() not in taken:
                break
        times[stem.lower()] = number
        taken.add(new_stem.lower())
        yield f"{new_stem}{dot}{suffix}"


def _place(image_path: str, target: Path, link: LinkKind) -> str:
    """Put a picture in its place; the reason where that is not possible, else nothing."""
    try:
        found = open_again(image_path)
    except InputError as error:
        return str(error)
    if isinstance(found, bytes):  # from a tar, a table or the web: there is no file to link
        write_bytes_atomic(target, found)
        return ""
    return _place_file(found, target, link)


def _place_file(source: Path, target: Path, link: LinkKind) -> str:
    try:
        size = source.stat().st_size
        if not source.is_file():
            return "is not a file"
        with source.open("rb"):
            pass  # what cannot be read is the picture's fault, and what follows the folder's
    except (OSError, ValueError) as error:
        return str(getattr(error, "strerror", None) or error)
    if target.is_file() and not target.is_symlink() and target.stat().st_size == size:
        return ""
    target.unlink(missing_ok=True)
    if link == "symbolic":
        target.symlink_to(source.resolve())
        return ""
    if link == "hard":
        try:
            os.link(source, target)
        except OSError:  # another disk, or a file system without links
            link = "copy"
    if link == "copy":
        with atomic_path(target) as temporary:
            shutil.copy2(source, temporary)
    return ""


def _table_row(name: str, sample: CopiedSample) -> dict[str, Any]:
    taken = {"file": name, "image_path": sample.image_path, "caption": sample.caption or ""}
    return {**taken, **{key: value for key, value in sample.fields.items() if key not in taken}}


def _write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = dict.fromkeys(name for row in rows for name in row)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns) or ["file", "image_path", "caption"])
        writer.writeheader()
        writer.writerows(rows)
