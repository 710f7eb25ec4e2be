"""One run at a time in one folder.

The kernel holds the lock for the process and lets go of it when the process dies, however it dies,
so that a lock is never stale.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clipworks.errors import FolderError

LOCK_FILE = ".lock"


@dataclass
class HeldFolder:
    """A folder that is held; whoever renames it meanwhile says so.

    Attributes:
        folder: where it is now.
    """

    folder: Path


@contextmanager
def hold_folder(folder: Path) -> Iterator[HeldFolder]:
    """Hold a folder, which must exist, for as long as the block runs.

    Raises:
        FolderError: another run holds it.
        OSError: the lock's file cannot be written.
    """
    descriptor = _acquire(folder / LOCK_FILE)
    held = HeldFolder(folder)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        yield held
    finally:
        # Before it is let go of: nobody can hold it yet.
        (held.folder / LOCK_FILE).unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace") or "it"
            os.close(descriptor)
            raise FolderError(
                f"{path.parent} is in use: {holder} is writing to it: wait for it, or stop it"
            ) from error
        except OSError:
            os.close(descriptor)
            raise
        if _is_at(path, descriptor):
            return descriptor
        os.close(descriptor)  # its last holder removed it between our open and our lock


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
