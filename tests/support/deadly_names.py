"""File names that end, or hold up, the process beside ours that reads them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path


class DeadlyName(str):
    """A file's name: who looks at it in another process than the tests' is killed."""

    def __str__(self) -> str:
        if multiprocessing.parent_process():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__str__()


class DeadlyOnceName(str):
    """The same, but only the first time; then `NAME.killed` stands beside the file."""

    def __str__(self) -> str:
        mark = Path(super().__str__() + ".killed")
        if multiprocessing.parent_process() and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__str__()


class EndlessName(str):
    """The same, but it holds up whoever looks."""

    def __str__(self) -> str:
        if multiprocessing.parent_process():
            time.sleep(1000)
        return super().__str__()
