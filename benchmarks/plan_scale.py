"""What the driver of a run over billions of pictures has to bear, with the real driver.

    python benchmarks/plan_scale.py [--samples 5e9] [--partition-size 2048] [--done 0.5]

Nothing is embedded: an executor that answers at once stands in for the cluster, and writes the done
records that real workers would. What is measured is the driver itself: listing what is done,
adding it up, handing out the rest, and the memory of it. Last, a plan: machine hours, bytes and
files from the rates that are given.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clipworks.data.embedding_folder import partition_files
from clipworks.data.partitions import ListedPartition, count_partitions
from clipworks.data.sources.source import AbstractPartition, AbstractSource
from clipworks.embed.dispatch import run_job_on
from clipworks.embed.embed_settings import EmbedSettings
from clipworks.embed.executors.executor import AbstractExecutor
from clipworks.embed.job import open_job
from clipworks.embed.stages import StageSeconds, Tally
from clipworks.encoders.loading import find_bundle


class CountedSource(AbstractSource):
    """So many samples, of which none exists."""

    has_images = True
    has_captions = False
    columns = {}  # noqa: RUF012 - never changed
    options = {}  # noqa: RUF012

    def __init__(self, num_samples: int, partition_size: int) -> None:
        self._num_samples, self._size = num_samples, partition_size

    @property
    def description(self) -> str:
        """For the manifest."""
        return f"{self._num_samples} samples that do not exist"

    @property
    def digest(self) -> str:
        """For the manifest."""
        return hashlib.sha256(self.description.encode()).hexdigest()

    @property
    def num_samples(self) -> int:
        """As given."""
        return self._num_samples

    @property
    def num_partitions(self) -> int:
        """As many as they make."""
        return count_partitions(self._num_samples, self._size)

    def partition(self, number: int) -> AbstractPartition:
        """One without samples."""
        return ListedPartition(number, [])


class InstantExecutor(AbstractExecutor):
    """Writes the done record, and nothing else."""

    def __init__(self, folder: Path, num_partitions: int, tally: Tally, num_tasks: int) -> None:
        self._folder, self._num_partitions, self._tally = folder, num_partitions, tally
        self._num_tasks = num_tasks

    @property
    def num_tasks(self) -> int:
        """Threads that hand out."""
        return self._num_tasks

    def make(self, seat: int, partition: AbstractPartition) -> Tally:
        """Answer at once."""
        del seat
        write_record(self._folder, partition.number, self._num_partitions, self._tally)
        return self._tally

    def stop(self) -> None:
        """Nothing to stop."""

    def close(self) -> None:
        """Nothing to close."""


def write_record(folder: Path, number: int, num_partitions: int, tally: Tally) -> None:
    """What the driver reads of a done record."""
    counts = {"sample_count": tally.handled, "skipped_count": 0, "incomplete_count": 0}
    path = partition_files(folder, number, num_partitions).stats
    path.write_text(json.dumps(counts))


@contextmanager
def measured(what: str, count: int) -> Iterator[None]:
    """Print how long the block took, and the largest memory so far."""
    begin = time.perf_counter()
    yield
    seconds = time.perf_counter() - begin
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{what:52}{seconds:9.1f} s{1e6 * seconds / count:9.1f} us each{memory:9.0f} MB", flush=True
    )


def main() -> None:
    """Simulate, and print the plan."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--samples", type=float, default=5e9)
    parser.add_argument("--partition-size", type=int, default=2048)
    parser.add_argument("--done", type=float, default=0.5, help="share that an earlier run made")
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--scratch", type=Path, help="where the records go; by default /tmp")
    parser.add_argument("--images-per-s", type=float, default=2500.0, help="of one worker")
    parser.add_argument("--dollars-per-hour", type=float, default=2.0, help="of one worker")
    parser.add_argument("--dim", type=int, default=512)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        simulate(Path(scratch) / "out", options)
    plan(options)


def simulate(folder: Path, options: argparse.Namespace) -> None:
    """Begin a folder, stop, and go on, with the driver's own code."""
    source = CountedSource(int(options.samples), options.partition_size)
    total = source.num_partitions
    settings = EmbedSettings(partition_size=options.partition_size)
    card = find_bundle("pictograms").card
    tally = Tally(options.partition_size, 0, 0, StageSeconds(1, 1, 1, 1))
    executor = InstantExecutor(folder, total, tally, options.workers)
    begun = int(options.done * total)
    print(f"{total:,} partitions of {options.partition_size:,} samples, {begun:,} done before")
    with open_job(source, folder, card, settings):
        (folder / "stats").mkdir(exist_ok=True)
    with measured("writing the records of an earlier run (not driver)", max(1, begun)):
        for number in range(begun):
            write_record(folder, number, total, tally)
    with measured("starting: list what is done", total):
        held = open_job(source, folder, card, settings)
        job = held.__enter__()
    with measured("the rest: add up, hand out, add up", len(job.pending)):
        report = run_job_on(job, executor)
    held.__exit__(None, None, None)
    assert (report.partitions_missing, report.partitions_made) == (0, total - begun)
    with (
        measured("starting again, with the sum at hand", total),
        open_job(source, folder, card, settings) as job,
    ):
        assert run_job_on(job, executor).partitions_made == 0


def plan(options: argparse.Namespace) -> None:
    """Hours, dollars and bytes at the rates that are given."""
    samples = options.samples
    partitions = count_partitions(int(samples), options.partition_size)
    hours = samples / options.images_per_s / 3600
    print(f"one worker at {options.images_per_s:,.0f} images/s: {hours:,.0f} hours")
    print(
        f"{options.workers} workers: {hours / options.workers:,.1f} hours, "
        f"{hours * options.dollars_per_hour:,.0f} dollars; a partition takes "
        f"{options.partition_size / options.images_per_s:,.1f} s, a partition ends every "
        f"{options.partition_size / options.images_per_s / options.workers * 1000:,.0f} ms"
    )
    for store, size in (("fp16", 2.0), ("int8", 1.0), ("binary", 1 / 8)):
        print(f"{store:7}{samples * options.dim * size / 1e12:8.2f} TB")
    print(f"{partitions:,} files each in img_emb, metadata and stats")


if __name__ == "__main__":
    main()
