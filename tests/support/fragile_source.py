"""A source some of whose partitions end the process that makes them, or fail there."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from clipworks.data.sources.folder_source import FolderSource
from clipworks.data.sources.source import AbstractPartition, AbstractSource


class FragilePartition(AbstractPartition):
    """One that goes wrong in any process but the one that made it.

    Args:
        inner: gives the samples.
        fault: `kill`, `kill once`, `raise` or `wait`.
        mark: a file that says that it has gone wrong before.
    """

    def __init__(self, inner: AbstractPartition, fault: str, mark: Path) -> None:
        self._inner, self._fault, self._mark, self._home = inner, fault, mark, os.getpid()

    @property
    def number(self):
        return self._inner.number

    def samples(self):
        if os.getpid() != self._home:
            self._go_wrong()
        return self._inner.samples()

    def _go_wrong(self):
        if self._fault == "kill" or (self._fault == "kill once" and not self._mark.exists()):
            self._mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if self._fault == "raise":
            raise RuntimeError("the source has a bad day")
        if self._fault == "wait":
            self._mark.touch()
            time.sleep(600)


class FragileSource(AbstractSource):
    """A folder's pictures, with faults at some partitions' numbers."""

    def __init__(self, folder: Path, partition_size: int, faults: dict[int, str], marks: Path):
        self._inner = FolderSource(folder, partition_size=partition_size)
        self._faults, self._marks = faults, marks

    description = property(lambda self: self._inner.description)
    digest = property(lambda self: self._inner.digest)
    num_samples = property(lambda self: self._inner.num_samples)
    num_partitions = property(lambda self: self._inner.num_partitions)
    has_images = property(lambda self: self._inner.has_images)
    has_captions = property(lambda self: self._inner.has_captions)
    columns = property(lambda self: self._inner.columns)
    options = property(lambda self: self._inner.options)

    def partition(self, number):
        inner = self._inner.partition(number)
        if number not in self._faults:
            return inner
        return FragilePartition(inner, self._faults[number], self._marks / f"{number}.mark")
