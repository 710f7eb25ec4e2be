"""`clipworks embed`: pictures and texts, wherever they lie, to an embedding folder, resumably."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from clipworks.cli.embed_options import (
    BatchSize,
    CaptionColumn,
    Decoders,
    Dim,
    Executor,
    FastDecode,
    FastResize,
    ImageColumn,
    Modality,
    Null,
    NumTasks,
    Out,
    PartitionSize,
    Profile,
    ShardOption,
    SourceKind,
    Sources,
    Store,
    UrlTimeout,
    Workers,
)
from clipworks.cli.options import Backend, Device, Json, Model, Precision, Threads

if TYPE_CHECKING:
    from clipworks.cli.model_option import RunOptions
    from clipworks.data.shard import Shard
    from clipworks.data.sources.source_options import SourceOptions
    from clipworks.embed.embed_settings import EmbedSettings
    from clipworks.embed.executors.executor import AbstractExecutor
    from clipworks.embed.job import EmbedJob
    from clipworks.embed.outcome import EmbedReport
    from clipworks.encoders.bundle import Bundle
    from clipworks.encoders.embedder import Embedder

_BATCHES_AT_ONCE_ELSEWHERE = 2  # on a GPU or a server one runs while the next one's pixels travel
_MOST_DECODERS = 16
_DIM_WARNING = (
    "--dim: only models that were trained for it (Matryoshka) keep their quality when embeddings "
    "are cut short"
)
_INTERRUPTED = 130  # what shells expect of a command that Ctrl-C has ended


def embed(
    source: Sources,
    out: Out,
    model: Model = "pictograms",
    backend: Backend = "auto",
    device: Device = "cpu",
    precision: Precision = None,
    threads: Threads = 0,
    source_kind: SourceKind = None,
    modality: Modality = "auto",
    image_column: ImageColumn = None,
    caption_column: CaptionColumn = None,
    null: Null = False,
    url_timeout: UrlTimeout = 20.0,
    batch_size: BatchSize = 0,
    partition_size: PartitionSize = 2048,
    workers: Workers = 0,
    decoders: Decoders = None,
    executor: Executor = "local",
    num_tasks: NumTasks = 0,
    shard: ShardOption = None,
    fast_decode: FastDecode = False,
    fast_resize: FastResize = None,
    store: Store = "fp16",
    dim: Dim = 0,
    profile: Profile = False,
    json: Json = False,
) -> None:
    """Embed pictures and their captions; the same command goes on where a run was stopped."""
    from clipworks.cli.embed_summary import print_report
    from clipworks.cli.model_option import RunOptions
    from clipworks.data.downloads import FetchLimits
    from clipworks.data.shard import Shard
    from clipworks.data.sources.source_options import SourceOptions
    from clipworks.embed.embed_settings import EmbedSettings

    reading = SourceOptions(
        partition_size, source_kind, cast("Any", modality), image_column, caption_column,
        nul_separated=null, limits=FetchLimits(timeout_s=url_timeout),
    )  # fmt: skip
    settings = EmbedSettings(
        batch_size, partition_size, workers,
        num_encoding=0 if device == "cpu" else _BATCHES_AT_ONCE_ELSEWHERE,
        num_decoders=_default_decoders(device) if decoders is None else decoders,
        fast_decode=fast_decode, fast_resize=fast_resize, store=store, dim=dim,
    )  # fmt: skip
    how = RunOptions(backend, device, precision, threads)
    share = Share(executor, num_tasks, Shard.parse(shard) if shard else None)
    with _telling_of_interrupts(out):
        report = _run(source, out, model, reading=reading, settings=settings, how=how, share=share)
    print_report(report, json=json, profile=profile)


@contextmanager
def _telling_of_interrupts(out: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(
            f"clipworks: stopped; {out} keeps the partitions that are finished, and the same "
            "command goes on from there",
            err=True,
        )
        raise typer.Exit(_INTERRUPTED) from None


@dataclass(frozen=True)
class Share:
    """Who makes the partitions, as `--executor`, `--num-tasks` and `--shard` say."""

    executor: str
    num_tasks: int
    shard: Shard | None


def _default_decoders(device: str) -> int:
    from clipworks.devices import count_cores

    return 0 if device == "cpu" else min(_MOST_DECODERS, count_cores())


def _run(
    typed: list[str],
    out: Path,
    model: str,
    *,
    reading: SourceOptions,
    settings: EmbedSettings,
    how: RunOptions,
    share: Share,
) -> EmbedReport:
    from clipworks.cli.model_option import pull_model, settle_backend
    from clipworks.data.sources.opening import open_source
    from clipworks.embed.executors.executor import EXECUTORS
    from clipworks.embed.job import open_job
    from clipworks.embed.outcome import sum_up
    from clipworks.encoders.batch_sizes import best_batch_size
    from clipworks.encoders.computed_precision import card_at

    EXECUTORS.load(share.executor)  # a name that there is not is told before any work
    source = open_source(typed, reading, say=_say)
    bundle = pull_model(model)
    card = card_at(bundle.card, how.precision)
    best = best_batch_size(how.device)
    with open_job(source, out, card, settings, shard=share.shard, best_batch_size=best) as job:
        if not job.pending:
            return sum_up(job)
        if settings.dim:
            typer.echo(_DIM_WARNING, err=True)
        how = settle_backend(bundle, how)
        executor = _open_executor(job, bundle, how, share)
        return _run_on(job, executor) if executor else _run_here(job, bundle, how)


def _open_executor(
    job: EmbedJob, bundle: Bundle, how: RunOptions, share: Share
) -> AbstractExecutor | None:
    """The executor that is asked for; None where this process does as well."""
    from clipworks.embed.executors.executor import EXECUTORS, ExecutorOptions
    from clipworks.embed.folder_plan import FolderPlan
    from clipworks.embed.work_order import ModelOrder, WorkOrder

    model = ModelOrder(
        bundle=bundle.folder.absolute(),
        fingerprint=job.manifest.fingerprint,
        backend=how.backend,
        device=how.device,
        precision=how.precision,
        num_threads=how.num_threads,
    )
    options = ExecutorOptions(WorkOrder(FolderPlan.of(job), model), share.num_tasks)
    executor = EXECUTORS.load(share.executor)(options)
    if share.executor == "local" and executor.num_tasks == 1:
        return None
    return executor


def _run_on(job: EmbedJob, executor: AbstractExecutor) -> EmbedReport:
    from clipworks.cli.embed_summary import showing_progress
    from clipworks.embed.dispatch import run_job_on

    with closing(executor), showing_progress() as tell:
        return run_job_on(job, executor, report=tell)


def _run_here(job: EmbedJob, bundle: Bundle, how: RunOptions) -> EmbedReport:
    from clipworks.cli.embed_summary import showing_progress
    from clipworks.cli.model_option import load_model
    from clipworks.embed.pipeline import run_job

    threads = how.num_threads or job.settings.threads_per_batch
    embedder = load_model(bundle, replace(how, num_threads=threads))
    warming_up = _warming_up(embedder) if job.source.has_images else nullcontext()
    with warming_up, showing_progress() as tell:
        return run_job(job, embedder, report=tell)


def _say(line: str) -> None:
    typer.echo(f"clipworks: {line}", err=True)


@contextmanager
def _warming_up(embedder: Embedder) -> Iterator[None]:
    """Load the picture tower, and what writes tables, while the block reads the first pictures."""
    from threading import Thread

    from clipworks.data.columns import metadata_table
    from clipworks.errors import ClipworksError

    def warm_up() -> None:
        with suppress(ClipworksError):  # the first picture meets the same error, and reports it
            embedder.warm_up()
        metadata_table([], {})  # where pandas is installed, pyarrow imports it with its first array

    thread = Thread(target=warm_up, name="warm-up")
    thread.start()
    try:
        yield
    finally:
        thread.join()
