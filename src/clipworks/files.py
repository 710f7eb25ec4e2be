"""Files that are whole or absent: written under a temporary name, then renamed."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clipworks.errors import ClipworksError, FolderError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on leaving without an error it becomes `path`.

    A kill at any moment leaves either the old file or the new one, whole, and at most a stray
    `.part` file, which `remove_partial_files` clears away.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)  # some writers leave a file that only its owner reads
        _flush_to_disk(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """Give an empty folder beside `path`, to be filled and renamed; what stays of it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def temporary_name(path: Path) -> Path:
    """A new name beside `path`, which says that what bears it is not finished."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


def write_bytes_atomic(path: Path, content: bytes) -> None:
    """Write a whole file at once."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_json_atomic(path: Path, content: Any) -> None:  # noqa: ANN401 - whatever JSON takes
    """Write JSON, indented and with a final newline."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    write_bytes_atomic(path, text.encode())


def read_versioned_json(
    path: Path, *, version: int, remedy: str, error: type[ClipworksError]
) -> dict[str, Any] | None:
    """Read a JSON object that says which format it has; None where there is no file.

    Args:
        path: of the file.
        version: the `format_version` that the caller reads.
        remedy: what to do about another version: "convert the model again".
        error: what to raise.

    Raises:
        ClipworksError: `error`: the file is damaged, no JSON object, or of another version.
    """
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (json.JSONDecodeError, UnicodeDecodeError) as damage:
        raise error(f"{path} is damaged: {damage}") from damage
    if not isinstance(fields, dict):
        raise error(f"{path} is damaged: expected a JSON object")
    if fields.get("format_version") != version:
        raise error(
            f"{path} has format {fields.get('format_version')!r}, and this version reads "
            f"{version}: {remedy}, or update clipworks"
        )
    return fields


@contextmanager
def explaining_writes(folder: Path, advice: str) -> Iterator[None]:
    """Turn the system's refusal to write in a folder into one line.

    Args:
        folder: that is written.
        advice: what to do once the cause is mended: "run the same command again".

    Raises:
        FolderError: the block met an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise FolderError(
            f"{folder} cannot be written: {error.strerror or error}: when that is mended, {advice}"
        ) from error


def remove_partial_files(folder: Path) -> None:
    """Delete what killed writers left behind, below `folder`."""
    for stray in find_partial_files(folder):
        stray.unlink(missing_ok=True)


def find_partial_files(folder: Path) -> Iterator[Path]:
    """Go through what killed writers left behind, and what others are writing, below `folder`."""
    yield from folder.rglob(".*.part")


def sha256_of_file(path: Path) -> str:
    """The file's SHA-256, as hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def cache_folder() -> Path:
    """Where downloads and measurements are kept: `CLIPWORKS_CACHE`, or the user's cache."""
    if given := os.environ.get("CLIPWORKS_CACHE"):
        return Path(given).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "clipworks"


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
