"""A folder's next state: made beside it, and put in its place in one step.

The system exchanges the two names at once, so that a kill at any instant leaves the old folder or
the new one, whole. Files that stay as they are become hard links, which cost no room and no time.
Processes that have files of the old folder open go on reading these.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clipworks.data.folder_lock import LOCK_FILE, hold_folder
from clipworks.errors import FolderError
from clipworks.files import folder_beside

_AT_CWD = -100  # AT_FDCWD of Linux
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux, and RENAME_SWAP of macOS
_NO_HARD_LINKS = (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS)


@contextmanager
def next_state(folder: Path, replaced: frozenset[str]) -> Iterator[Path]:
    """Hold a folder, and give an empty one that takes its place when the block ends.

    Args:
        folder: whose state is to change.
        replaced: names in it that the block writes anew, or leaves out; everything else in the
            folder is taken over as it is.

    Raises:
        FolderError: it is in use, or its file system cannot exchange folders.
        OSError: the disk is full, or does not let us write.
    """
    folder = folder.resolve()
    with hold_folder(folder) as held:
        _sweep(folder)
        with folder_beside(folder) as new, hold_folder(new) as new_held:
            shutil.copymode(folder, new)
            yield new
            for path in folder.iterdir():
                if path.name not in replaced and path.name != LOCK_FILE:
                    _take_over(path, new / path.name)
            _exchange(new, folder)
            held.folder, new_held.folder = new, folder


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` the same file, or a copy where the file system has no hard links.

    Raises:
        OSError: the disk is full, or does not let us write.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        shutil.copy2(source, target, follow_symlinks=False)


def _take_over(source: Path, target: Path) -> None:
    if source.name.startswith(".") and source.name.endswith(".part"):
        return  # what a killed run left
    if source.is_dir() and not source.is_symlink():
        target.mkdir()
        shutil.copystat(source, target)
        for path in source.iterdir():
            _take_over(path, target / path.name)
    else:
        link_or_copy(source, target)


def _sweep(folder: Path) -> None:
    """Remove states that a killed run did not put in place, or did not clear away."""
    for stray in folder.parent.glob(f".{folder.name}.*.part"):
        shutil.rmtree(stray, ignore_errors=True)


def _exchange(one: Path, other: Path) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    sys.audit("clipworks.exchange", str(one), str(other))
    try:
        if sys.platform == "darwin":
            failed = library.renamex_np(*names, _EXCHANGE)
        else:
            failed = library.renameat2(_AT_CWD, names[0], _AT_CWD, names[1], _EXCHANGE)
    except AttributeError:  # a C library that has no such call
        failed = True
        ctypes.set_errno(errno.ENOSYS)
    if failed:
        reason = os.strerror(ctypes.get_errno())
        raise FolderError(
            f"{other}: its file system cannot exchange two folders in one step ({reason}): copy it "
            "to a local disk, and change it there"
        )
