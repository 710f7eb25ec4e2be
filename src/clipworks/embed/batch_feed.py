"""Hands out a job's batches one by one, and gathers their rows into partitions again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import final

from clipworks.data.partitions import split_batches
from clipworks.data.samples import Sample
from clipworks.data.sources.source import AbstractPartition
from clipworks.embed.worker import BatchRows


@final
class Gathering:
    """The rows of one partition, as its batches come in, in whatever order.

    Args:
        number: of the partition.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._lock = threading.Lock()
        self._count: int | None = None
        self._batches: dict[int, BatchRows] = {}

    def expect(self, count: int) -> None:
        """Say how many batches there are; this is known before the last of them is given out."""
        self._count = count

    def add(self, place: int, rows: BatchRows) -> list[BatchRows] | None:
        """Take a batch's rows; with the last batch, give all of them in order."""
        with self._lock:
            self._batches[place] = rows
            if len(self._batches) != self._count:
                return None
            return [self._batches[place] for place in sorted(self._batches)]


@dataclass(frozen=True)
class BatchTask:
    """One batch's work.

    Attributes:
        gathering: where its rows belong.
        place: among the batches of the partition.
        samples: what to embed.
        source_s: seconds that the source took to give them.
    """

    gathering: Gathering
    place: int
    samples: Sequence[Sample]
    source_s: float = 0.0


@final
class BatchFeed:
    """Gives each batch of some partitions to one of many threads, in order.

    Args:
        partitions: whose samples are embedded; each is asked for when its turn comes.
        batch_size: of all batches but a partition's last.
    """

    def __init__(self, partitions: Iterable[AbstractPartition], batch_size: int) -> None:
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._tasks = _tasks(partitions, batch_size, self._stopped)

    def __iter__(self) -> Iterator[BatchTask]:
        while (task := self._take()) is not None:
            yield task

    def stop(self) -> None:
        """Give out no more; who waits for a slow source waits for one sample at the most."""
        self._stopped.set()

    def _take(self) -> BatchTask | None:
        with self._lock:
            task = None if self._stopped.is_set() else next(self._tasks, None)
            # Once stopped, the last batch may lack samples, and its partition would seem whole.
            return None if self._stopped.is_set() else task


def _tasks(
    partitions: Iterable[AbstractPartition], batch_size: int, stopped: threading.Event
) -> Iterator[BatchTask]:
    for partition in partitions:
        gathering = Gathering(partition.number)
        batches = _timed(split_batches(_until(stopped, partition.samples()), batch_size))
        # An empty partition has one batch, without samples.
        (batch, source_s), place = next(batches, ([], 0.0)), 0
        while (following := next(batches, None)) is not None:
            yield BatchTask(gathering, place, batch, source_s)
            (batch, source_s), place = following, place + 1
        gathering.expect(place + 1)
        yield BatchTask(gathering, place, batch, source_s)


def _until(stopped: threading.Event, samples: Iterator[Sample]) -> Iterator[Sample]:
    for sample in samples:
        if stopped.is_set():
            return
        yield sample


def _timed(batches: Iterator[list[Sample]]) -> Iterator[tuple[list[Sample], float]]:
    """Each batch, and the seconds that it took to come."""
    while True:
        begin = time.perf_counter()
        batch = next(batches, None)
        if batch is None:
            return
        yield batch, time.perf_counter() - begin
