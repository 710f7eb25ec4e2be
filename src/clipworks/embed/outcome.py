"""What a run tells: how far it is, and what came of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from clipworks.data.embedding_folder import Manifest, missing_partitions, partition_files
from clipworks.data.samples import storable
from clipworks.embed.job import EmbedJob
from clipworks.errors import FolderError


@dataclass(frozen=True)
class EmbedProgress:
    """How far a run is, in samples.

    Attributes:
        done: embedded or skipped, those of earlier runs included.
        total: of the whole folder; None where the source does not tell.
        skipped: of those that are done.
    """

    done: int
    total: int | None
    skipped: int


@dataclass(frozen=True)
class Totals:
    """What the finished partitions of a folder add up to.

    Attributes:
        embedded: rows.
        skipped: pictures that could not be read.
        incomplete: rows whose caption or fields could not be read.
    """

    embedded: int
    skipped: int
    incomplete: int


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
        seconds: of this run.
        images_per_s: of this run, the skipped ones included.
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
    seconds: float
    images_per_s: float


def read_totals(folder: Path, manifest: Manifest) -> Totals:
    """Add up the records of the partitions that are done.

    Raises:
        FolderError: a record is damaged.
    """
    missing = set(missing_partitions(folder, manifest))
    done = [number for number in range(manifest.num_partitions) if number not in missing]
    sums = [0, 0, 0]
    for number in done:
        path = partition_files(folder, number, manifest.num_partitions).stats
        try:
            stats = json.loads(path.read_text(encoding="utf-8"))
            counts = (stats["sample_count"], stats["skipped_count"], stats["incomplete_count"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FolderError(
                f"{path} is damaged ({error!r}): delete it, and the next run makes it anew"
            ) from error
        sums = [total + count for total, count in zip(sums, counts, strict=True)]
    return Totals(*sums)


def sum_up(job: EmbedJob, *, seconds: float = 0.0, handled: int = 0) -> EmbedReport:
    """Report on a job whose partitions have all been made.

    Args:
        job: as it was opened: what was pending then has been made in this run.
        seconds: that the run took.
        handled: samples that it embedded or skipped.
    """
    manifest = job.manifest
    totals = read_totals(job.folder, manifest)
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
        partitions_made=len(job.pending),
        seconds=round(seconds, 3),
        images_per_s=round(handled / seconds, 1) if handled else 0.0,
    )
