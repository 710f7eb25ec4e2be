"""What a user typed to a source: which kind it is shows in the names of its files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from clipworks.data.addresses import WEB, protocol_of
from clipworks.data.picture_suffixes import is_picture
from clipworks.data.remote_files import StoredFile
from clipworks.data.sources.folder_source import FolderSource, list_all_files
from clipworks.data.sources.img2dataset_source import is_img2dataset, open_img2dataset
from clipworks.data.sources.listed_source import open_listed
from clipworks.data.sources.parquet_source import open_parquet_files
from clipworks.data.sources.places import STDIN, Place, look_up
from clipworks.data.sources.record_source import open_records, open_stdin
from clipworks.data.sources.remote_folder_source import open_remote_folder
from clipworks.data.sources.source import AbstractSource
from clipworks.data.sources.source_options import Say, SourceOptions, keep_silent
from clipworks.data.sources.webdataset_source import open_tars
from clipworks.errors import FolderError, SettingsError

_TAR = re.compile(r".*\.(?:tar(?:\.(?:gz|bz2|xz))?|tgz)", re.IGNORECASE | re.DOTALL)
_TABLES = {
    ".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".jsonlines": "jsonl",
}  # fmt: skip
_TEXT = "text"
_PICTURE = "picture"
_SAME_KIND = {"webdataset": "tars", _PICTURE: "pictures"}


def open_source(
    typed: Sequence[str | Path], options: SourceOptions | None = None, say: Say | None = None
) -> AbstractSource:
    """Open what somebody wants to have embedded.

    Args:
        typed: one folder or address of one; or any number of tars, tables, pictures, patterns
            (`{00000..00099}.tar`, `*.parquet`) and addresses; or `-` for stdin.
        options: how to read it.
        say: is told, in a line each, what was found out by looking.

    Raises:
        FolderError: it is not there, holds nothing, or cannot be read.
        SettingsError: its kind cannot be told; or a column, pictures or captions are missing.
        MissingExtraError: there are pictures that an optional library reads.
    """
    options, say = options or SourceOptions(), say or keep_silent
    place = look_up([str(text) for text in typed])
    if place.folder is not None:
        return _open_folder(place.folder, place, options, say)
    if place.files[0].url == STDIN:
        return open_stdin(options, say)
    if place.is_remote_folder:
        return _open_remote(place, options, say)
    kind = options.kind or _kind_of_files(place)
    return _open_files(kind, place.description, place.files, options, say)


def kind_of(name: str) -> str | None:
    """What a file's name says that it is; None where it says nothing of use."""
    if protocol_of(name) in WEB:
        name = name.partition("?")[0]
    if _TAR.fullmatch(name):
        return "webdataset"
    if is_picture(name):
        return _PICTURE
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122
    return _TEXT if suffix == ".txt" else _TABLES.get(suffix)


def _open_files(
    kind: str, description: str, files: Sequence[StoredFile], options: SourceOptions, say: Say
) -> AbstractSource:
    if kind == "webdataset":
        return open_tars(description, files, options)
    if kind == "parquet":
        return open_parquet_files(description, files, options, say)
    if kind == "img2dataset":
        return open_img2dataset(description, files, options, say)
    if kind == "folder":
        raise FolderError(f"{description} is not a folder: expected one that holds pictures")
    if kind == _PICTURE:
        return open_listed(description, [file.url for file in files], options)
    return open_records(description, kind, files, options, say)


def _kind_of_files(place: Place) -> str:
    kinds = {kind_of(file.url) for file in place.files}
    if len(kinds) > 1:
        raise _mixed(place.description, kinds)
    kind = kinds.pop()
    if kind == _TEXT:
        raise SettingsError(
            f"{place.description} may hold texts or paths: say --source-kind lines for texts, one "
            "a line, or --source-kind paths for paths or addresses of pictures"
        )
    if kind is None:
        raise SettingsError(
            f"{place.description}: its name does not say what it is: give --source-kind "
            "(webdataset, parquet, csv, tsv, jsonl, paths or lines)"
        )
    return kind


def _mixed(where: str, kinds: Iterable[str | None]) -> SettingsError:
    names = sorted(_SAME_KIND.get(kind or "others", kind or "others") for kind in kinds)
    return SettingsError(
        f"{where} holds {' and '.join(names)}: say which with --source-kind, or give one kind"
    )


def _open_folder(folder: Path, place: Place, options: SourceOptions, say: Say) -> AbstractSource:
    kind = options.kind or _kind_of_folder(folder, options)
    if kind == "img2dataset" and not is_img2dataset(_names_at_the_top(folder)):
        kind = "folder"  # its format `files`
    if kind == "folder":
        return FolderSource(
            folder, partition_size=options.partition_size, modality=options.modality
        )
    files = _files_of_kind(_sized(list_all_files(folder)[1]), kind, str(folder))
    return _open_files(kind, place.description, files, options, say)


def _open_remote(place: Place, options: SourceOptions, say: Say) -> AbstractSource:
    kind = options.kind
    if kind is None:
        names = [file.url for file in place.files]
        kind = "img2dataset" if is_img2dataset(names) else _kind_of_names(place.description, names)
    if kind == "folder":
        return open_remote_folder(place.description, list(place.files), options)
    files = _files_of_kind(place.files, kind, place.description)
    return _open_files(kind, place.description, files, options, say)


def _files_of_kind(files: Sequence[StoredFile], kind: str, where: str) -> Sequence[StoredFile]:
    if kind == "img2dataset":
        return files
    wanted = _TEXT if kind in ("lines", "paths") else kind
    found = sorted(
        (file for file in files if kind_of(file.url) == wanted),
        key=lambda file: os.fsencode(file.url),
    )
    if not found:
        raise FolderError(f"{where} holds no files of the kind {kind}, nor does a folder below it")
    return found


def _sized(paths: Iterable[str]) -> list[StoredFile]:
    return [StoredFile(path, os.stat(path).st_size) for path in paths if _is_there(path)]  # noqa: PTH116


def _is_there(path: str) -> bool:
    return os.path.exists(path)  # noqa: PTH110


def _kind_of_folder(folder: Path, options: SourceOptions) -> str:
    """Tell by the names at the top; if they do not tell, by all names.

    Tables beside pictures, or above them, do not count: many people keep lists there.
    """
    top = _names_at_the_top(folder)
    if is_img2dataset(top):
        return "img2dataset"
    kinds = {kind_of(name) for name in top}
    if "webdataset" in kinds:
        if _PICTURE in kinds:
            raise _mixed(str(folder), ("webdataset", _PICTURE))
        return "webdataset"
    if _PICTURE in kinds or (options.modality == "text" and _TEXT in kinds):
        return "folder"
    if _holds_a_picture(folder):
        return "folder"
    return _kind_of_names(str(folder), list_all_files(folder)[1])


def _holds_a_picture(folder: Path) -> bool:
    """Look below a folder until a picture is met."""
    return any(is_picture(name) for _, _, names in os.walk(folder) for name in names)


def _names_at_the_top(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except OSError as error:
        raise FolderError(f"{folder} cannot be read: {error.strerror}") from error


def _kind_of_names(where: str, names: Sequence[str]) -> str:
    kinds = {kind_of(name) for name in names}
    if _PICTURE in kinds:
        return "folder"
    tables = kinds - {None, _TEXT}
    if len(tables) > 1:
        raise _mixed(where, tables)
    return tables.pop() or "folder" if tables else "folder"
