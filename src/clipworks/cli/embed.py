"""`clipworks embed`: a folder of pictures to an embedding folder, resumably."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipworks.cli.options import Backend, Device, Json, Model, Precision, Threads

if TYPE_CHECKING:
    from clipworks.cli.model_option import RunOptions
    from clipworks.embed.embed_settings import EmbedSettings
    from clipworks.embed.outcome import EmbedProgress, EmbedReport
    from clipworks.encoders.embedder import Embedder

Pictures = Annotated[
    Path,
    typer.Argument(
        metavar="FOLDER",
        help="Pictures, at any depth, with captions (.txt) and fields (.json) of the same name.",
        show_default=False,
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        "--out", "-o", envvar="CLIPWORKS_OUT", help="The embedding folder.", show_default=False
    ),
]
BatchSize = Annotated[
    int,
    typer.Option(
        min=1,
        envvar="CLIPWORKS_BATCH_SIZE",
        help="Pictures in one forward pass; a GPU likes 128 and more.",
    ),
]
PartitionSize = Annotated[
    int,
    typer.Option(
        min=1,
        envvar="CLIPWORKS_PARTITION_SIZE",
        help="Samples in one partition: what a kill may lose.",
    ),
]
Workers = Annotated[
    int, typer.Option(min=0, envvar="CLIPWORKS_WORKERS", help="Threads; 0 for one a core.")
]

_BATCHES_AT_ONCE_ELSEWHERE = 2  # on a GPU or a server one runs while the next one's pixels travel
_INTERRUPTED = 130  # what shells expect of a command that Ctrl-C has ended


def embed(
    folder: Pictures,
    out: Out,
    model: Model = "pictograms",
    backend: Backend = "auto",
    device: Device = "cpu",
    precision: Precision = None,
    threads: Threads = 0,
    batch_size: BatchSize = 32,
    partition_size: PartitionSize = 2048,
    workers: Workers = 0,
    json: Json = False,
) -> None:
    """Embed a folder of pictures; the same command goes on where a run was stopped."""
    from clipworks.cli.model_option import RunOptions
    from clipworks.embed.embed_settings import EmbedSettings

    settings = EmbedSettings(
        batch_size=batch_size,
        partition_size=partition_size,
        num_workers=workers,
        num_encoding=0 if device == "cpu" else _BATCHES_AT_ONCE_ELSEWHERE,
    )
    how = RunOptions(backend, device, precision, threads or settings.threads_per_batch)
    try:
        report = _run(folder, out, model=model, how=how, settings=settings)
    except KeyboardInterrupt:
        typer.echo(
            f"clipworks: stopped; {out} keeps the partitions that are finished, and the same "
            "command goes on from there",
            err=True,
        )
        raise typer.Exit(_INTERRUPTED) from None
    _print(report, json=json)


def _run(
    folder: Path, out: Path, *, model: str, how: RunOptions, settings: EmbedSettings
) -> EmbedReport:
    from clipworks.cli.model_option import load_model, pull_model
    from clipworks.data.sources.folder_source import FolderSource
    from clipworks.embed.job import open_job
    from clipworks.embed.outcome import sum_up
    from clipworks.embed.pipeline import run_job
    from clipworks.encoders.computed_precision import card_at

    source = FolderSource(folder, partition_size=settings.partition_size)
    bundle = pull_model(model)
    with open_job(source, out, card_at(bundle.card, how.precision), settings) as job:
        if not job.pending:
            return sum_up(job)
        embedder = load_model(bundle, how)
        with _warming_up(embedder), _showing_progress() as tell:
            return run_job(job, embedder, report=tell)


@contextmanager
def _warming_up(embedder: Embedder) -> Iterator[None]:
    """Load the picture tower while the block reads the first pictures."""
    from threading import Thread

    from clipworks.errors import ClipworksError

    def warm_up() -> None:
        with suppress(ClipworksError):  # the first picture meets the same error, and reports it
            embedder.warm_up()

    thread = Thread(target=warm_up, name="warm-up")
    thread.start()
    try:
        yield
    finally:
        thread.join()


@contextmanager
def _showing_progress() -> Iterator[Callable[[EmbedProgress], None]]:
    from clipworks.cli.console import progress_bar

    with progress_bar() as bar:
        task = bar.add_task("embedding", total=None, rate="")
        begin, done_before = time.monotonic(), -1

        def tell(progress: EmbedProgress) -> None:
            nonlocal done_before
            if done_before < 0:
                done_before = progress.done
            handled = progress.done - done_before
            rate = f"{handled / (time.monotonic() - begin):,.1f} images/s" if handled else ""
            bar.update(task, completed=progress.done, total=progress.total, rate=rate)

        yield tell


def _print(report: EmbedReport, *, json: bool) -> None:
    from dataclasses import asdict

    from clipworks.cli.console import print_json, result_console

    if json:
        print_json(asdict(report))
    else:
        result_console().print(_summary(report), markup=False, soft_wrap=True)


def _summary(report: EmbedReport) -> str:
    parts = [f"{report.embedded:,} embedded"]
    if report.skipped:
        parts.append(f"{report.skipped:,} skipped")
    if report.incomplete:
        parts.append(f"{report.incomplete:,} without a caption or fields that could not be read")
    counts = ", ".join(parts) + (" (see errors/)" if len(parts) > 1 else "")
    if not report.partitions_made:
        return f"{report.folder} is complete already: {counts}"
    speed = f"{report.seconds:,.1f} s, {report.images_per_s:,.1f} images/s"
    return f"{report.folder}: {counts}; {speed}"
