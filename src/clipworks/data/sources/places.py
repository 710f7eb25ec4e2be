"""What a user typed to files: paths, addresses, globs and brace patterns."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from urllib.parse import unquote

from clipworks.data.addresses import WEB, is_address, protocol_of
from clipworks.data.remote_files import StoredFile, glob_remote, is_pattern, list_remote
from clipworks.errors import FolderError, InputError, SettingsError

STDIN = "-"
_BRACES = re.compile(r"\{[^{}]*(?:\.\.|,)[^{}]*\}")


@dataclass(frozen=True)
class Place:
    """What was typed, looked up.

    Attributes:
        description: absolute, where it is local.
        folder: a local folder; None where files were named.
        files: that were named, or that lie in a remote folder; empty for a local folder.
        is_remote_folder: whether the files are what an address holds.
    """

    description: str
    folder: Path | None
    files: tuple[StoredFile, ...] = ()
    is_remote_folder: bool = False


def look_up(typed: Sequence[str]) -> Place:
    """Find out what a user means.

    Args:
        typed: one folder, or any number of files, patterns and addresses; `-` is stdin.

    Raises:
        FolderError: something is not there.
        SettingsError: folders are named beside other things.
    """
    if not typed:
        raise SettingsError("no source: give a folder, files or an address")
    if len(typed) == 1:
        return _look_up_one(_plain(typed[0]))
    places = [_look_up_one(_plain(text)) for text in typed]
    for text, place in zip(typed, places, strict=True):
        if text == STDIN or place.folder or place.is_remote_folder:
            raise SettingsError(f"{text} stands beside other sources: give one folder, or files")
    files = tuple(file for place in places for file in place.files)
    return Place(" ".join(place.description for place in places), None, files)


def _plain(text: str) -> str:
    if protocol_of(text) == "file":
        return unquote(text.partition("://")[2].removeprefix("localhost"))
    return text


def _look_up_one(text: str) -> Place:
    if text == STDIN:
        return Place(STDIN, None, (StoredFile(STDIN, None),))
    if is_address(text):
        return _look_up_address(text)
    path = Path(text)
    if path.is_dir():
        return Place(str(path.resolve()), path)
    if path.exists():
        return Place(str(path.absolute()), None, (_local_file(str(path.absolute())),))
    absolute = os.path.abspath(text)  # noqa: PTH100 - a pattern is no path
    files = tuple(_local_file(found) for found in _expand_local(absolute))
    if not files:
        raise FolderError(f"{text} is not there: expected a folder, files or an address")
    return Place(absolute, None, files)


def _expand_local(pattern: str) -> Iterator[str]:
    for text in _expand_braces(pattern):
        if Path(text).exists():
            yield text
        elif is_pattern(text):
            yield from sorted(glob(text, recursive=True), key=os.fsencode)  # noqa: PTH207
        elif text != pattern:
            raise FolderError(f"{text} is not there; {pattern} names it")


def _expand_braces(pattern: str) -> Iterator[str]:
    if not _BRACES.search(pattern):
        yield pattern
        return
    from braceexpand import braceexpand

    try:
        yield from braceexpand(pattern, escape=False)
    except ValueError as error:
        raise SettingsError(f"{pattern}: its braces do not match: {error}") from error


def _local_file(path: str) -> StoredFile:
    try:
        return StoredFile(path, os.stat(path).st_size)  # noqa: PTH116 - of very many files
    except OSError as error:
        raise FolderError(f"{path} cannot be read: {error.strerror}") from error


def _look_up_address(address: str) -> Place:
    try:
        if protocol_of(address) in WEB:
            if is_pattern(address):
                glob_remote(address)  # says why it cannot be
            return Place(address, None, tuple(StoredFile(u, None) for u in _expand_braces(address)))
        files = [file for text in _expand_braces(address) for file in _list(text)]
    except InputError as error:
        if isinstance(error, SettingsError):
            raise
        raise FolderError(f"{address} {error}") from error
    root = address.rstrip("/") + "/"
    is_folder = all(file.url.startswith(root) for file in files)
    return Place(address, None, tuple(files), is_folder)


def _list(address: str) -> list[StoredFile]:
    """List what an address means: first as it is written, since storage takes any name."""
    try:
        return list_remote(address)
    except InputError as error:
        if isinstance(error, SettingsError) or not is_pattern(address):
            raise
        found = glob_remote(address)
        if not found:
            raise
        return found
