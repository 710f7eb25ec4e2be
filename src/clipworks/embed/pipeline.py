"""Many pictures to an embedding folder, at the model's own pace.

There is no queue between readers and the model. Each of a few threads takes the next batch, reads
it, runs the model on it, and comes back for another; whoever brings a partition's last batch writes
the partition. So reading, inference and writing overlap, no core waits for another, and there are
never more batches in memory than threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from clipworks.data.embedding_folder import partition_files
from clipworks.data.sources.opening import open_source
from clipworks.data.sources.source import AbstractSource
from clipworks.data.sources.source_options import SourceOptions
from clipworks.embed.batch_feed import BatchFeed
from clipworks.embed.embed_settings import EmbedSettings
from clipworks.embed.job import EmbedJob, explaining_storage, open_job
from clipworks.embed.outcome import EmbedProgress, EmbedReport, read_totals, sum_up
from clipworks.embed.partition_writer import write_partition
from clipworks.embed.worker import BatchRows, BatchWorker
from clipworks.encoders.embedder import Embedder

Report = Callable[[EmbedProgress], None]
"""Is told how far a run is, in the thread that started it."""


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
    by batches, and threads within a batch would only be in each other's way.

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
    with open_job(source, folder, embedder.card, settings) as job:
        return run_job(job, embedder, report=report)


def run_job(job: EmbedJob, embedder: Embedder, *, report: Report | None = None) -> EmbedReport:
    """Make the partitions that are pending; `report` is called once at the start, too.

    Raises:
        FolderError: the folder cannot be written.
    """
    begin = time.perf_counter()
    before = read_totals(job.folder, job.manifest)
    done, skipped = before.embedded + before.skipped, before.skipped

    def count(batch: BatchRows) -> None:
        nonlocal done, skipped
        done += len(batch.metadata) + batch.num_skipped
        skipped += batch.num_skipped
        tell()

    def tell() -> None:
        if report:
            report(EmbedProgress(done=done, total=job.manifest.num_samples, skipped=skipped))

    tell()
    if job.pending:
        _share_out(job, embedder, count)
    seconds = time.perf_counter() - begin
    return sum_up(job, seconds=seconds, handled=done - before.embedded - before.skipped)


def _share_out(job: EmbedJob, embedder: Embedder, count: Callable[[BatchRows], None]) -> None:
    """Run the workers until no batch is left, or one of them fails, or the user has had enough."""
    settings = job.settings
    feed = BatchFeed(job)
    events: SimpleQueue[BatchRows | Future[None]] = SimpleQueue()
    turnstile = threading.Semaphore(settings.num_encoding or settings.workers)

    def work() -> None:
        worker = BatchWorker(
            embedder,
            batch_size=min(settings.batch_size, settings.partition_size),
            with_images=job.source.has_images,
            with_texts=job.source.has_captions,
            turnstile=turnstile,
        )
        for task in feed:
            rows = worker.embed(task.samples)
            if batches := task.gathering.add(task.place, rows):
                _write(job, task.gathering.number, batches)
            events.put(rows)

    with ThreadPoolExecutor(settings.workers, thread_name_prefix="embed") as pool:
        try:
            running = [pool.submit(work) for _ in range(settings.workers)]
            for future in running:
                future.add_done_callback(events.put)
            _listen(events, len(running), count)
        finally:
            feed.stop()


def _listen(
    events: SimpleQueue[BatchRows | Future[None]],
    num_running: int,
    count: Callable[[BatchRows], None],
) -> None:
    while num_running:
        event = events.get()
        if isinstance(event, Future):
            event.result()  # raises what the worker raised
            num_running -= 1
        else:
            count(event)


def _write(job: EmbedJob, number: int, batches: list[BatchRows]) -> None:
    files = partition_files(job.folder, number, job.manifest.num_partitions)
    with explaining_storage(job.folder):
        write_partition(files, batches, job.manifest.columns)
