"""What a run tells: how far it is, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from jaxtyping import Bool

from clipworks.data.samples import storable
from clipworks.embed.folder_totals import FolderSum, Totals, keep_totals, read_totals
from clipworks.embed.job import EmbedJob, explaining_storage
from clipworks.embed.stages import Tally, find_slowest, profile, stage_lanes


@dataclass(frozen=True)
class EmbedProgress:
    """How far a run is, in samples.

    Attributes:
        done: embedded or skipped, those of earlier runs included.
        total: of the whole folder; None where the source does not tell.
        skipped: of those that are done.
        slowest: the stage that holds up the others: read, decode, encode or write.
    """

    done: int
    total: int | None
    skipped: int
    slowest: str = field(default="", compare=False)


KEEP_EVERY_S = 300.0
"""So long a run of many partitions works before it writes down what they add up to so far."""

Report = Callable[[EmbedProgress], None]
"""Is told how far a run is, in the thread that started it."""


@dataclass(frozen=True)
class FailedPartition:
    """A partition that could not be made.

    Attributes:
        number: of it.
        reason: of the last try, in one line.
    """

    number: int
    reason: str


@dataclass(frozen=True)
class EmbedReport:
    """What came of a run; the counts are of the whole folder, earlier runs included.

    Attributes:
        folder: that was written.
        source: that was read.
        model: its name.
        fingerprint: of the model.
        samples: in the source.
        embedded: rows.
        skipped: pictures that could not be read; `errors/` has them.
        incomplete: rows whose caption or fields could not be read; `errors/` has them too.
        partitions: that the folder has.
        partitions_made: in this run; 0 says that the folder was complete already.
        partitions_missing: still to be made, by this command again or by other shards.
        failed: those of them that could not be made in this run.
        seconds: of this run.
        images_per_s: of this run, the skipped ones included.
        profile: where the time went, as `clipworks.embed.stages.profile` has it.
    """

    folder: str
    source: str
    model: str
    fingerprint: str
    samples: int
    embedded: int
    skipped: int
    incomplete: int
    partitions: int
    partitions_made: int
    partitions_missing: int
    failed: list[FailedPartition]
    seconds: float
    images_per_s: float
    profile: dict[str, Any]


@final
class RunRecord:
    """Adds up what a run does, and tells of it.

    Args:
        job: that is run; `report` is told of its beginning.
        report: is told how far the work is.
    """

    def __init__(self, job: EmbedJob, report: Report | None) -> None:
        self._before = read_totals(job.folder, job.manifest)
        self._done = self._before.done.copy()
        self._job = job
        self._keep(self._before)
        self._lanes = stage_lanes(job.settings)
        self._report = report
        self.tally = Tally()
        self._tell()

    def add(self, tally: Tally) -> None:
        """Count some work that is done."""
        self.tally += tally
        self._tell()

    def add_partition(self, number: int, tally: Tally) -> None:
        """Count a whole partition; every few minutes the sum so far is kept."""
        self.add(tally)
        self._done[number] = True
        if time.monotonic() - self._kept > KEEP_EVERY_S:
            self._keep(self._sum(self._done))

    def sum_up(self, failed: Collection[int]) -> FolderSum:
        """What is done, as far as this run knows, once it is at its end."""
        done = self._before.done.copy()
        done[[number for number in self._job.pending if number not in failed]] = True
        return self._sum(done)

    def _sum(self, done: Bool[np.ndarray, "partition"]) -> FolderSum:
        tally = self.tally
        made = Totals(tally.handled - tally.skipped, tally.skipped, tally.incomplete)
        return FolderSum(done, self._before.totals + made)

    def _keep(self, found: FolderSum) -> None:
        with explaining_storage(self._job.folder):
            keep_totals(self._job.folder, found)
        self._kept = time.monotonic()

    def _tell(self) -> None:
        if self._report:
            seconds = self.tally.seconds
            shard, before = self._job.shard, self._before.totals
            if shard:  # how much of the rest is its own is not known
                before = Totals()
            self._report(
                EmbedProgress(
                    done=before.embedded + before.skipped + self.tally.handled,
                    total=None if shard else self._job.manifest.num_samples,
                    skipped=before.skipped + self.tally.skipped,
                    slowest=find_slowest(seconds, self._lanes) if self.tally.handled else "",
                )
            )


def sum_up(
    job: EmbedJob,
    record: RunRecord | None = None,
    *,
    seconds: float = 0.0,
    failed: Sequence[FailedPartition] = (),
) -> EmbedReport:
    """Report on a job that has been run.

    Args:
        job: as it was opened: what was pending then has been made in this run, or has failed.
        record: of this run; None where there was nothing to do.
        seconds: that the run took.
        failed: what could not be made.
    """
    manifest, tally = job.manifest, record.tally if record else Tally()
    known = record.sum_up({one.number for one in failed}) if record else None
    found = read_totals(job.folder, manifest, known=known)
    totals = found.totals
    with explaining_storage(job.folder):
        keep_totals(job.folder, found)
    return EmbedReport(
        folder=storable(str(job.folder)),
        source=manifest.source,
        model=manifest.model,
        fingerprint=manifest.fingerprint,
        samples=manifest.num_samples or totals.embedded + totals.skipped,
        embedded=totals.embedded,
        skipped=totals.skipped,
        incomplete=totals.incomplete,
        partitions=manifest.num_partitions,
        partitions_made=len(job.pending) - len(failed),
        partitions_missing=int((~found.done).sum()),
        failed=list(failed),
        seconds=round(seconds, 3),
        images_per_s=round(tally.handled / seconds, 1) if tally.handled else 0.0,
        profile=profile(tally.seconds, stage_lanes(job.settings)),
    )
