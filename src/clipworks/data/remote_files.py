"""Files on other machines, through fsspec.

S3, Google's storage and HDFS go through pyarrow's own file systems, which come with it; other
protocols through fsspec, with the library that it names. http and https have no listing, and are
read by `clipworks.data.downloads`.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, cast, final

from clipworks.data.addresses import WEB, protocol_of
from clipworks.data.downloads import open_download
from clipworks.errors import InputError, SettingsError

_ARROW = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "hdfs": "hdfs", "viewfs": "hdfs"}
_REASON_LENGTH = 300


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as its storage lists it.

    Attributes:
        url: a local path or an address.
        size_bytes: None where the storage does not tell.
    """

    url: str
    size_bytes: int | None


def open_file(url: str) -> BinaryIO:
    """Open a local path or an address for reading.

    Raises:
        InputError: it cannot be read; the message leaves the place out.
    """
    protocol = protocol_of(url)
    if protocol in WEB:
        return open_download(url)
    with _one_line_errors():
        if protocol is None:
            return Path(url).open("rb")
        files, path = _file_system(url)
        return cast("BinaryIO", files.open(path, "rb"))


def read_remote(url: str) -> bytes:
    """Read a file of one of fsspec's file systems.

    Raises:
        InputError: it cannot be read; the message leaves the place out.
    """
    with _one_line_errors():
        files, path = _file_system(url)
        return files.cat_file(path)


def list_remote(url: str) -> list[StoredFile]:
    """List the files at and below an address, sorted; one file is a list of itself.

    Raises:
        InputError: there is nothing, or it cannot be listed; the message leaves the place out.
        SettingsError: the protocol is not known, or its library is not installed.
    """
    if protocol_of(url) in WEB:
        return [StoredFile(url, None)]
    with _one_line_errors():
        files, path = _file_system(url)
        if files.isfile(path):
            return [StoredFile(url, files.size(path))]
        found = files.find(path, detail=True)
    if not found:
        raise InputError("holds nothing, or is not there")
    return _stored(url, found)


def glob_remote(pattern: str) -> list[StoredFile]:
    """List the files that a pattern with `*`, `?` or `[...]` means, sorted.

    Raises:
        InputError: it cannot be listed; the message leaves the place out.
        SettingsError: http has no listing; or the protocol is not known.
    """
    if protocol_of(pattern) in WEB:
        raise SettingsError(
            f"{pattern}: http has no listing: write the files' numbers as {{00000..00099}}"
        )
    with _one_line_errors():
        files, path = _file_system(pattern)
        found = files.glob(path, detail=True)
    return _stored(pattern, {name: info for name, info in found.items() if info["type"] == "file"})


def is_pattern(text: str) -> bool:
    """Whether `*`, `?` or `[` stand in it; in addresses a `?` begins a query."""
    return any(sign in text for sign in ("*[" if protocol_of(text) in WEB else "*?["))


def spool(stream: BinaryIO) -> BinaryIO:
    """Copy a stream to a nameless file on this machine, which is gone when it is closed."""
    copy = tempfile.TemporaryFile(prefix="clipworks-")  # noqa: SIM115 - the caller closes it
    shutil.copyfileobj(stream, copy, 1 << 20)
    copy.seek(0)
    return cast("BinaryIO", copy)


@final
class Spool:
    """A stream's content in a nameless file, which is gone with this object."""

    def __init__(self, stream: BinaryIO) -> None:
        with spool(stream) as copy:
            self._descriptor = os.dup(copy.fileno())
        weakref.finalize(self, os.close, self._descriptor)

    def open(self) -> BinaryIO:
        """Open it at its beginning; one reader at a time."""
        stream = os.fdopen(os.dup(self._descriptor), "rb")
        stream.seek(0)
        return stream


def _stored(asked: str, found: dict[str, Any]) -> list[StoredFile]:
    protocol, _, path = asked.partition("://")
    # The storage leaves away slashes that the user may have typed.
    root = f"{protocol}://{'/' if path.startswith('/') else ''}{_host_apart(asked)}"
    return [
        StoredFile(root + name.lstrip("/"), info.get("size"))
        for name, info in sorted(found.items())
        if not fnmatch.fnmatch(name.rsplit("/", 1)[-1], ".*")
    ]


def _host_apart(url: str) -> str:
    """HDFS names its host in the address, and not in its paths."""
    if _ARROW.get(protocol_of(url) or "") != "hdfs":
        return ""
    return url.partition("://")[2].partition("/")[0] + "/"


def _file_system(url: str) -> tuple[Any, str]:
    protocol = protocol_of(url)
    assert protocol is not None
    rest = url.partition("://")[2]
    if protocol in _ARROW:
        host, _, path = rest.partition("/")
        hadoop = _ARROW[protocol] == "hdfs"
        return _arrow_file_system(_ARROW[protocol], host if hadoop else ""), (
            f"/{path}" if hadoop else rest
        )
    from fsspec.core import url_to_fs

    try:
        return url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise SettingsError(f"{url}: {' '.join(str(error).split())}") from error


@lru_cache(maxsize=16)
def _arrow_file_system(kind: str, host: str) -> Any:  # noqa: ANN401 - fsspec has no types
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow import fs

    if kind == "s3":
        unsigned = os.environ.get("AWS_NO_SIGN_REQUEST", "").lower() in ("1", "true", "yes")
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        inner: Any = fs.S3FileSystem(anonymous=unsigned, endpoint_override=endpoint)
    elif kind == "gs":
        inner = fs.GcsFileSystem()
    else:
        inner = fs.HadoopFileSystem.from_uri(f"hdfs://{host}")
    return ArrowFSWrapper(inner)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Every storage has errors of its own."""
    try:
        yield
    except (InputError, SettingsError):
        raise
    except FileNotFoundError as error:
        raise InputError("cannot be read: No such file or directory") from error
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"cannot be read: {reason[:_REASON_LENGTH]}") from error
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"cannot be read: {reason[:_REASON_LENGTH]}") from error
