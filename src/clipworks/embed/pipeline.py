"""Many pictures to an embedding folder, at the model's own pace.

There is no queue between readers and the model. Each of a few threads takes the next batch, reads
it, runs the model on it, and comes back for another; whoever brings a partition's last batch writes
the partition. So reading, inference and writing overlap, no core waits for another, and there are
never more batches in memory than threads. Reading is the thread's own work, or that of a process
beside it (`decoder_pool`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from clipworks.data.sources.opening import open_source
from clipworks.data.sources.source import AbstractPartition, AbstractSource
from clipworks.data.sources.source_options import SourceOptions
from clipworks.embed.batch_feed import BatchFeed
from clipworks.embed.batch_reader import (
    AbstractBatchReader,
    SampleDecoder,
    TextReader,
    ThreadReader,
)
from clipworks.embed.crew import run_crew
from clipworks.embed.decoder_pool import DecoderPool
from clipworks.embed.embed_settings import EmbedSettings
from clipworks.embed.folder_plan import FolderPlan
from clipworks.embed.job import EmbedJob, explaining_storage, open_job
from clipworks.embed.outcome import EmbedReport, Report, RunRecord, sum_up
from clipworks.embed.partition_writer import write_partition
from clipworks.embed.stages import StageSeconds, Tally
from clipworks.embed.worker import BatchRows, BatchWorker
from clipworks.encoders.embedder import Embedder
from clipworks.inputs.specs import ImageSpec

OpenReader = Callable[[int], AbstractBatchReader]
"""Gives each thread, by its number, a reader of its own."""


def embed_folder(
    source: Path | str | AbstractSource,
    folder: Path,
    embedder: Embedder,
    *,
    settings: EmbedSettings | None = None,
    report: Report | None = None,
) -> EmbedReport:
    """Embed a source's pictures and captions; what an earlier run finished is kept.

    On a CPU, load the model with `num_threads=settings.threads_per_batch`: the work is shared out
    by batches, and threads within a batch would only be in each other's way. With
    `settings.num_decoders`, call it from a script's `if __name__ == "__main__":`, as
    `multiprocessing` asks.

    Args:
        source: holds pictures, at any depth; or what else `clipworks.data.sources.opening` opens:
            tars, tables, addresses, or an opened source.
        folder: is written, in the layout of `clipworks.data.embedding_folder`.
        embedder: the model.
        settings: how the work is cut up and shared out.
        report: is told how far the work is.

    Raises:
        FolderError: the source is empty, or the folder is in use, damaged, another
            program's, or cannot be written.
        ModelMismatchError: the folder was begun with another model.
        SettingsError: it was begun with other settings, or the source has changed since.
        MissingExtraError: there are pictures that an optional library reads.
    """
    settings = settings or EmbedSettings()
    if not isinstance(source, AbstractSource):
        source = open_source([source], SourceOptions(settings.partition_size))
    best = embedder.batch_size
    with open_job(source, folder, embedder.card, settings, best_batch_size=best) as job:
        return run_job(job, embedder, report=report)


def run_job(job: EmbedJob, embedder: Embedder, *, report: Report | None = None) -> EmbedReport:
    """Make the partitions that are pending; `report` is called once at the start, too.

    Raises:
        FolderError: the folder cannot be written.
    """
    begin = time.perf_counter()
    record = RunRecord(job, report)
    if job.pending:
        plan = FolderPlan.of(job)
        with open_readers(plan, embedder.card.image) as readers:
            pending = map(job.source.partition, job.pending)
            make_partitions(plan, pending, embedder, readers, record.add)
    return sum_up(job, record, seconds=time.perf_counter() - begin)


@contextmanager
def open_readers(plan: FolderPlan, spec: ImageSpec) -> Iterator[OpenReader]:
    """What reads batches: the threads themselves, or a pool of processes."""
    settings = plan.settings
    if not plan.rows.with_images:
        yield lambda number: TextReader()
        return
    longest = min(settings.batch_size, settings.partition_size)
    decoder = SampleDecoder(
        spec, fast_decode=settings.fast_decode, fast_resize=bool(settings.fast_resize)
    )
    if not settings.num_decoders:
        yield lambda number: ThreadReader(decoder, longest)
        return
    with DecoderPool(
        decoder,
        num_decoders=settings.num_decoders,
        num_readers=settings.workers,
        batch_size=longest,
    ) as pool:
        yield pool.reader


def make_partitions(
    plan: FolderPlan,
    partitions: Iterable[AbstractPartition],
    embedder: Embedder,
    readers: OpenReader,
    count: Callable[[Tally], None],
) -> None:
    """Have threads make partitions until no batch is left.

    Args:
        plan: of the folder.
        partitions: to make.
        embedder: the model.
        readers: as `open_readers` gives them.
        count: is told, in this thread, of each batch and each writing.

    Raises:
        FolderError: the folder cannot be written.
    """
    settings = plan.settings
    embedder = embedder.shortened(settings.dim)
    feed = BatchFeed(partitions, settings.batch_size)
    turnstile = threading.Semaphore(settings.encoding)

    def work(number: int, tell: Callable[[Tally], None]) -> None:
        worker = BatchWorker(embedder, readers(number), rows=plan.rows, turnstile=turnstile)
        for task in feed:
            rows = worker.embed(task.samples, source_s=task.source_s)
            write_s = 0.0
            if batches := task.gathering.add(task.place, rows):
                write_s = _write(plan, task.gathering.number, batches)
            tell(_tally(rows, write_s))

    run_crew(settings.workers, work, count, feed.stop)


def _tally(rows: BatchRows, write_s: float) -> Tally:
    seconds = StageSeconds(rows.read_s, rows.decode_s, rows.inference_s, write_s)
    handled = len(rows.metadata) + rows.num_skipped
    return Tally(handled, rows.num_skipped, rows.num_incomplete, seconds)


def _write(plan: FolderPlan, number: int, batches: list[BatchRows]) -> float:
    begin = time.perf_counter()
    with explaining_storage(plan.folder):
        write_partition(plan.files(number), batches, plan.columns)
    return time.perf_counter() - begin
