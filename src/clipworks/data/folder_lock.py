"""One run at a time in one folder, or one run a shard.

The kernel holds the lock for the process and lets go of it when the process dies, however it
dies, so that a lock is never stale. Runs of shards share the folder's lock, and each holds one of
its own.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from clipworks.data.shard import Shard
from clipworks.errors import FolderError

LOCK_FILE = ".lock"

_SHARD_LOCK = re.compile(r"\.lock\.\d+-of-(\d+)")


@dataclass
class HeldFolder:
    """A folder that is held; whoever renames it meanwhile says so.

    Attributes:
        folder: where it is now.
    """

    folder: Path


@contextmanager
def hold_folder(folder: Path, shard: Shard | None = None) -> Iterator[HeldFolder]:
    """Hold a folder, which must exist, or a shard of it, for as long as the block runs.

    Raises:
        FolderError: another run holds it, or the same shard, or shards of another count.
        OSError: the lock's file cannot be written.
    """
    held = HeldFolder(folder)
    if shard is None:
        with _hold(held, LOCK_FILE, fcntl.LOCK_EX):
            yield held
        return
    own = f"{LOCK_FILE}.{shard.index}-of-{shard.count}"
    with _hold(held, LOCK_FILE, fcntl.LOCK_SH), _hold(held, own, fcntl.LOCK_EX):
        _refuse_other_counts(held, shard)
        yield held


@contextmanager
def wait_for_turn(folder: Path) -> Iterator[None]:
    """Wait until no other shard's run is in such a block, which is short."""
    with _hold(HeldFolder(folder), f"{LOCK_FILE}.turn", fcntl.LOCK_EX, wait=True):
        yield


@contextmanager
def _hold(held: HeldFolder, name: str, kind: int, *, wait: bool = False) -> Iterator[None]:
    descriptor = _acquire(held.folder / name, kind if wait else kind | fcntl.LOCK_NB)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        yield
    finally:
        with suppress(OSError):  # others share it still: the last of them removes it
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Before it is let go of: nobody can hold it yet.
            (held.folder / name).unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path, kind: int) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, kind)
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


def _refuse_other_counts(held: HeldFolder, shard: Shard) -> None:
    """Shards of another count would make the same partitions."""
    for path in held.folder.glob(f"{LOCK_FILE}.*-of-*"):
        found = _SHARD_LOCK.fullmatch(path.name)
        if found and int(found[1]) != shard.count:
            with _hold(held, path.name, fcntl.LOCK_EX):  # a killed run may have left it
                pass


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
