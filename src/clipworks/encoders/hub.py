"""Files of the Hugging Face hub, in its own cache: resumed where a download stopped, and checked.

`huggingface_hub` finds, caches and links. Its newer versions throw away what they had of a file
when the process ends, so large files are written here, to the place in its cache where it looks
for them: `blobs/<sha256>` of the repository. `HF_ENDPOINT` (a mirror), `HF_HUB_OFFLINE`, `HF_HOME`
and `HF_TOKEN` mean what they mean to `huggingface_hub`; `CLIPWORKS_HUB_MIRROR` goes before
`HF_ENDPOINT`, for those whose other programs are to ask the hub itself.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock
from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)
from huggingface_hub.file_download import HfFileMetadata, http_get, repo_folder_name
from huggingface_hub.utils import build_hf_headers

from clipworks.encoders.hub_errors import (
    TransportError,
    hub_endpoint,
    no_room,
    told_in_one_line,
)
from clipworks.errors import DownloadError
from clipworks.files import sha256_of_file

DownloadWatcher = Callable[[str, int, int], None]
"""Is told a file's name, its bytes so far, and its bytes in all."""

_LIBRARY = "clipworks"
_SHA256 = re.compile(r"[0-9a-f]{64}")


def fetch_file(repository: str, filename: str, *, watch: DownloadWatcher | None = None) -> Path:
    """Give a file of a repository, from the cache or downloaded.

    Large files are compared with the SHA-256 that the hub states for them.

    Raises:
        DownloadError: no network, no access, no such file, or something else came.
        UnknownModelError: no such repository.
    """
    with told_in_one_line(repository, filename):
        return _fetch(repository, filename, watch)


def fetch_first(
    repository: str, filenames: Iterable[str], *, watch: DownloadWatcher | None = None
) -> Path:
    """Give the first of these files that the repository has.

    Raises:
        DownloadError: no network, no access, none of the files, or something else came.
        UnknownModelError: no such repository.
    """
    *others, last = filenames
    with told_in_one_line(repository, " or ".join([*others, last])):
        for filename in others:
            with suppress(EntryNotFoundError):
                return _fetch(repository, filename, watch)
        return _fetch(repository, last, watch)


def list_files(repository: str) -> list[str]:
    """The paths of a repository's files; without network, of those in the cache.

    Raises:
        DownloadError: no network and nothing cached, or no access.
        UnknownModelError: no such repository.
    """
    with told_in_one_line(repository):
        try:
            return HfApi(endpoint=hub_endpoint()).list_repo_files(repository)
        except HfHubHTTPError:
            raise
        except (TransportError, OfflineModeIsEnabled):
            if cached := _list_cached(repository):
                return cached
            raise


def _fetch(repository: str, filename: str, watch: DownloadWatcher | None) -> Path:
    """Fetch with the errors of `huggingface_hub`."""
    try:
        url = hf_hub_url(repository, filename, endpoint=hub_endpoint())
        remote = get_hf_file_metadata(url, endpoint=hub_endpoint())
    except EntryNotFoundError:
        raise
    except (TransportError, OfflineModeIsEnabled) as error:
        return _find_cached(repository, filename, error)
    if remote.etag and _SHA256.fullmatch(remote.etag):
        _write_blob(repository, filename, remote, watch)
    silent: Any = partial(_WatchedBar, filename=filename, size=0, watch=None)
    path = Path(
        hf_hub_download(
            repository,
            filename,
            endpoint=hub_endpoint(),
            library_name=_LIBRARY,
            tqdm_class=silent,
        )
    )
    _check_hash(path, f"{repository}/{filename}")
    return path


def _find_cached(repository: str, filename: str, error: Exception) -> Path:
    """Look in the cache alone, since the hub does not answer or does not give it."""
    try:
        path = Path(hf_hub_download(repository, filename, local_files_only=True))
    except LocalEntryNotFoundError as missing:
        if isinstance(error, HfHubHTTPError):
            raise error from None
        raise missing from error
    _check_hash(path, f"{repository}/{filename}")
    return path


def _write_blob(
    repository: str, filename: str, remote: HfFileMetadata, watch: DownloadWatcher | None
) -> None:
    """Download a large file to where the cache keeps it, going on from what is there already."""
    assert remote.etag is not None
    folder = repo_folder_name(repo_id=repository, repo_type="model")
    blob = Path(constants.HF_HUB_CACHE) / folder / "blobs" / remote.etag
    lock = Path(constants.HF_HUB_CACHE) / ".locks" / folder / f"{remote.etag}.lock"
    for parent in (blob.parent, lock.parent):
        parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        if not blob.exists():
            unfinished = blob.with_name(f"{blob.name}.clipworks.incomplete")
            _check_room(f"{repository}/{filename}", unfinished, remote.size or 0)
            _download(repository, filename, unfinished, remote, watch)
            unfinished.replace(blob)


def _check_room(wanted: str, unfinished: Path, size_bytes: int) -> None:
    """Say at the start, not after hours, that the rest of a file has no room."""
    had = unfinished.stat().st_size if unfinished.exists() else 0
    missing = size_bytes - had
    if missing > shutil.disk_usage(unfinished.parent).free:
        raise no_room(wanted, Path(constants.HF_HUB_CACHE), needed_bytes=missing)


def _download(
    repository: str,
    filename: str,
    target: Path,
    remote: HfFileMetadata,
    watch: DownloadWatcher | None,
) -> None:
    """Append to `target` what it lacks; a broken connection is taken up again while bytes come."""
    # The commit is named, so that the pieces are of one file even if the branch moves on.
    url = hf_hub_url(repository, filename, revision=remote.commit_hash, endpoint=hub_endpoint())
    bar: Any = partial(_WatchedBar, filename=filename, size=remote.size or 0, watch=watch)
    while True:
        with target.open("ab") as stream:
            begin = stream.tell()
            try:
                http_get(
                    url,
                    stream,
                    resume_size=begin,
                    headers=build_hf_headers(library_name=_LIBRARY),
                    expected_size=remote.size,
                    displayed_filename=filename,
                    tqdm_class=bar,
                )
            except HfHubHTTPError:
                raise
            except TransportError:
                if stream.tell() == begin:
                    raise
            else:
                return


def _check_hash(path: Path, wanted: str) -> None:
    """Compare a large file with its hash, which is its name in the cache; if wrong, remove it.

    Where the cache has no links (some Windows machines) there is nothing to compare with.
    """
    # One step only: behind the blob there may be a further link, to a store of all repositories.
    blob = path.parent / path.readlink() if path.is_symlink() else path
    if not _SHA256.fullmatch(blob.name):
        return
    found = sha256_of_file(blob)
    if found != blob.name:
        blob.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise DownloadError(
            f"{wanted} came damaged: its SHA-256 is {found[:12]}..., the hub says "
            f"{blob.name[:12]}...; it was removed from the cache: run the same command again"
        )


def _list_cached(repository: str) -> list[str]:
    root = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type="model")
    reference = root / "refs" / constants.DEFAULT_REVISION
    if not reference.is_file():
        return []
    folder = root / "snapshots" / reference.read_text(encoding="utf-8").strip()
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


class _WatchedBar:
    """What `huggingface_hub` takes for a progress bar: it prints nothing, and tells the watcher."""

    def __init__(
        self,
        *,
        filename: str,
        size: int,
        watch: DownloadWatcher | None,
        initial: int = 0,
        **_: object,
    ) -> None:
        self._filename = filename
        self._size = size
        self._watch = watch
        self._done = initial
        self.update(0)

    def update(self, num_bytes: float = 1) -> None:
        self._done += int(num_bytes)
        if self._watch:
            self._watch(self._filename, self._done, self._size)

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
