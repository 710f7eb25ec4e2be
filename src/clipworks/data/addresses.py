"""Addresses: what `image_path` says of pictures that are no files of their own on this machine.

    https://example.org/cat.jpg            is fetched (`clipworks.data.downloads`)
    s3://bucket/cat.jpg                    any file system of fsspec (`clipworks.data.remote_files`)
    tar://a/cat.jpg::/data/00000.tar       a member of a tar, in fsspec's own chained form
    parquet://image/12::/data/a.parquet    row 12, counted from 0, of a column that holds bytes

The last two may lie on another machine in turn: `tar://a/cat.jpg::s3://bucket/00000.tar`.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from urllib.parse import quote, unquote, urlsplit

from clipworks.data.downloads import FetchLimits, fetch
from clipworks.errors import InputError

_PROTOCOL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
WEB = frozenset({"http", "https"})


def protocol_of(text: str) -> str | None:
    """The protocol of an address, in lower case; None where the text is a path."""
    found = _PROTOCOL.match(text)
    return found[1].lower() if found else None


def is_address(text: str) -> bool:
    """Whether a text is an address, and no path."""
    return protocol_of(text) is not None


def short_name(image_path: str) -> str:
    """A file name for what metadata name: a path's or an address's last part; it may be empty."""
    protocol = protocol_of(image_path)
    if protocol is None:
        return image_path.rstrip("/").replace("\\", "/").rsplit("/", 1)[-1]
    if protocol == "parquet" and "::" in image_path:  # parquet://image/12::/data/a.parquet
        cell, _, file = image_path.partition("://")[2].rpartition("::")
        return f"{PurePath(short_name(file)).stem}-{cell.rpartition('/')[2]}"
    if protocol == "tar" and "::" in image_path:
        return image_path.rpartition("::")[0].rsplit("/", 1)[-1]
    path = urlsplit(image_path).path if protocol in WEB else image_path
    return unquote(path.rsplit("/", 1)[-1]).replace("/", "_")


def tar_address(member: str, archive: str) -> str:
    """Name a member of a tar."""
    return f"tar://{member}::{archive}"


def cell_address(column: str, row: int, file: str) -> str:
    """Name a cell of a parquet file."""
    return f"parquet://{quote(column, safe='')}/{row}::{file}"


def read_address(address: str, limits: FetchLimits | None = None) -> bytes:
    """Read what lies at an address.

    Raises:
        InputError: it cannot be read; the message leaves the address out.
    """
    protocol = protocol_of(address)
    if protocol in WEB:
        return fetch(address, limits or FetchLimits())
    if protocol in ("tar", "parquet") and "::" in address:
        inner, _, outer = address.partition("://")[2].rpartition("::")
        return _read_member(inner, outer) if protocol == "tar" else _read_cell(inner, outer)
    from clipworks.data.remote_files import read_remote

    return read_remote(address)


def _read_member(member: str, archive: str) -> bytes:
    from clipworks.data.tar_lookup import read_tar_member

    return read_tar_member(archive, member)


def _read_cell(cell: str, file: str) -> bytes:
    from clipworks.data.parquet_cells import read_cell

    column, _, row = cell.rpartition("/")
    if not row.isdecimal():
        raise InputError("is not the address of a cell: expected parquet://COLUMN/ROW::FILE")
    return read_cell(file, unquote(column), int(row))
