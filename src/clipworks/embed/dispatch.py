"""Shares partitions out to an executor's workers, and tries again what went wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import final

from clipworks.data.sources.source import AbstractPartition
from clipworks.embed.crew import run_crew
from clipworks.embed.executors.executor import AbstractExecutor
from clipworks.embed.job import EmbedJob
from clipworks.embed.outcome import EmbedReport, FailedPartition, Report, RunRecord, sum_up
from clipworks.embed.stages import Tally
from clipworks.errors import ClipworksError, FolderError

RETRIES = 2
"""How often a partition is tried again before the run goes on without it."""

_HOPELESS = 10  # so many partitions have failed, and none was made: the cause is not in them
_REASON_LENGTH = 300

Event = tuple[int, Tally] | FailedPartition


def run_job_on(
    job: EmbedJob, executor: AbstractExecutor, *, report: Report | None = None
) -> EmbedReport:
    """Have the partitions made that are pending; those that fail stand in the report.

    Raises:
        ClipworksError: what no other partition would be spared: the model cannot be loaded, the
            folder cannot be written, or one partition after the other fails.
    """
    begin = time.perf_counter()
    record = RunRecord(job, report)
    failed: list[FailedPartition] = []
    feed = _PartitionFeed(job)

    def serve(seat: int, tell: Callable[[Event], None]) -> None:
        _serve(executor, seat, feed, tell)

    def give_up() -> None:
        feed.stop()
        executor.stop()

    run_crew(executor.num_tasks, serve, lambda event: _hear(event, record, failed), give_up)
    failed.sort(key=lambda one: one.number)
    return sum_up(job, record, seconds=time.perf_counter() - begin, failed=failed)


@final
class _PartitionFeed:
    """Gives each pending partition to one of many threads, in order."""

    def __init__(self, job: EmbedJob) -> None:
        self._lock = threading.Lock()
        self._partitions = map(job.source.partition, job.pending)
        self.stopped = False

    def __iter__(self) -> Iterator[AbstractPartition]:
        while (partition := self._take()) is not None:
            yield partition

    def stop(self) -> None:
        """Give out no more."""
        self.stopped = True

    def _take(self) -> AbstractPartition | None:
        with self._lock:
            return None if self.stopped else next(self._partitions, None)


def _serve(
    executor: AbstractExecutor, seat: int, feed: _PartitionFeed, tell: Callable[[Event], None]
) -> None:
    for partition in feed:
        for left in range(RETRIES, -1, -1):
            try:
                tell((partition.number, executor.make(seat, partition)))
                break
            except Exception as error:
                # A worker's own error can be anything at all.
                if isinstance(error, ClipworksError) and not (
                    left and isinstance(error, FolderError)
                ):
                    raise
                if feed.stopped:
                    return
                if not left:
                    tell(FailedPartition(partition.number, _reason(error)))


def _hear(event: Event, record: RunRecord, failed: list[FailedPartition]) -> None:
    if isinstance(event, tuple):
        record.add_partition(*event)
        return
    failed.append(event)
    if len(failed) >= _HOPELESS and not record.tally.handled:
        raise ClipworksError(
            f"the first {len(failed)} partitions have all failed, each "
            f"{RETRIES + 1} times; the last one because {event.reason}"
        )


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    named = type(error).__module__ != "builtins" or not str(error)
    return (text if named else f"{type(error).__name__}: {text}")[:_REASON_LENGTH]
