"""What img2dataset wrote: shards with a table of what became of each address, and statistics.

Of its formats `webdataset` (`00000.tar`), `parquet` (the pictures are a column of `00000.parquet`)
and `files` (a folder `00000`) are read. What could not be downloaded is no sample.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pyarrow as pa

from clipworks.data.columns import find_arrow_columns
from clipworks.data.embedding_folder import CAPTION_COLUMN, IMAGE_PATH_COLUMN
from clipworks.data.parquet_cells import open_parquet
from clipworks.data.picture_suffixes import is_picture
from clipworks.data.remote_files import StoredFile, open_file
from clipworks.data.sources.parquet_source import open_parquet_files
from clipworks.data.sources.source import AbstractSource
from clipworks.data.sources.source_options import Say, SourceOptions
from clipworks.data.sources.webdataset_source import open_tars
from clipworks.errors import FolderError, InputError

_STATISTICS = re.compile(r"\d+_stats\.json")
_SHARD = re.compile(r"(\d+)\.(tar|parquet)")
_PICTURE_COLUMNS = ("jpg", "png", "webp")


def is_img2dataset(names: Iterable[str]) -> bool:
    """Whether these are files of its formats `webdataset` or `parquet`, by their names."""
    last = [name.rsplit("/", 1)[-1] for name in names]
    has_statistics = any(_STATISTICS.fullmatch(name) for name in last)
    has_shards = any(_SHARD.fullmatch(name) for name in last)
    # Its format `files` has a numbered folder beside each table: that is a folder of pictures.
    is_spread = any(name.isdecimal() or is_picture(name) for name in last)
    return has_statistics and has_shards and not is_spread


def open_img2dataset(
    description: str, files: Sequence[StoredFile], options: SourceOptions, say: Say
) -> AbstractSource:
    """Make a source of its shards.

    Args:
        description: what the user called them.
        files: all that lie there.
        options: how to read them.
        say: is told what was found.

    Raises:
        FolderError: there are no shards, or they cannot be read.
        SettingsError: captions are wanted, and there are none.
    """
    shards = _by_kind(files)
    if not shards["tar"] and not shards["parquet"]:
        raise FolderError(
            f"{description} holds no shards of img2dataset (00000.tar, 00000.parquet)"
        )
    count = _count_successes(files)
    if shards["tar"]:
        say(f"{description}: {len(shards['tar'])} tars of img2dataset")
        columns = _columns(shards["parquet"])
        return open_tars(description, shards["tar"], options, columns=columns, num_samples=count)
    say(f"{description}: {len(shards['parquet'])} tables of img2dataset")
    if options.image_column is None:
        options = _with_picture_column(shards["parquet"][0].url, options)
    return open_parquet_files(
        description, shards["parquet"], options, say, successes=True, num_samples=count
    )


def _by_kind(files: Sequence[StoredFile]) -> dict[str, list[StoredFile]]:
    found: dict[str, list[StoredFile]] = {"tar": [], "parquet": []}
    for file in sorted(files, key=lambda file: os.fsencode(file.url)):
        if shard := _SHARD.fullmatch(file.url.rsplit("/", 1)[-1]):
            found[shard[2]].append(file)
    return found


def _count_successes(files: Sequence[StoredFile]) -> int | None:
    """Add up what the statistics say; None where a shard has none: it was not finished."""
    shards = {m[1] for f in files if (m := _SHARD.fullmatch(f.url.rsplit("/", 1)[-1]))}
    statistics = [f for f in files if _STATISTICS.fullmatch(f.url.rsplit("/", 1)[-1])]
    if {f.url.rsplit("/", 1)[-1].partition("_")[0] for f in statistics} != shards:
        return None
    try:
        return sum(_successes(file.url) for file in statistics)
    except (InputError, ValueError, KeyError, TypeError):
        return None  # it is for the progress bar alone


def _successes(url: str) -> int:
    with open_file(url) as stream:
        return int(json.loads(stream.read())["successes"])


def _columns(tables: Sequence[StoredFile]) -> dict[str, str] | None:
    """The tables have the columns of the JSON files in the tars."""
    try:
        columns = find_arrow_columns(_schema(file.url) for file in tables)
    except InputError:
        return None
    taken = (IMAGE_PATH_COLUMN, CAPTION_COLUMN)
    return {name: kind for name, kind in columns.items() if name not in taken} or None


def _schema(url: str) -> pa.Schema:
    with open_parquet(url) as file:
        return file.schema_arrow


def _with_picture_column(url: str, options: SourceOptions) -> SourceOptions:
    try:
        names = _schema(url).names
    except InputError as error:
        raise FolderError(f"{url} {error}") from error
    column = next((name for name in _PICTURE_COLUMNS if name in names), None)
    if column is None:
        raise FolderError(
            f"{url} has no pictures (columns jpg, png or webp): where img2dataset wrote `files`, "
            "give the folder that holds them with --source-kind folder"
        )
    return replace(options, image_column=column)
