"""`clipworks embed`: pictures and texts, wherever they lie, to an embedding folder, resumably."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from clipworks.cli.options import Backend, Device, Json, Model, Precision, Threads

if TYPE_CHECKING:
    from clipworks.cli.model_option import RunOptions
    from clipworks.data.sources.source_options import SourceOptions
    from clipworks.embed.embed_settings import EmbedSettings
    from clipworks.embed.outcome import EmbedProgress, EmbedReport
    from clipworks.encoders.embedder import Embedder

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE...",
        help="A folder of pictures with captions (.txt) and fields (.json) of the same name; "
        "tars, as {00000..00099}.tar; what img2dataset wrote; parquet, CSV, TSV or JSONL with a "
        "column of paths, addresses or bytes; addresses (https://, s3:// and others); or - for "
        "paths, addresses or JSON objects on stdin.",
        show_default=False,
    ),
]
SourceKind = Annotated[
    str | None,
    typer.Option(
        envvar="CLIPWORKS_SOURCE_KIND",
        help="What the source is, where its name does not tell: folder, webdataset, img2dataset, "
        "parquet, csv, tsv, jsonl, paths (one a line) or lines (texts, one a line).",
        show_default=False,
    ),
]
Modality = Annotated[
    str,
    typer.Option(
        envvar="CLIPWORKS_MODALITY",
        help="What is embedded: image, text, both, or auto: what there is.",
    ),
]
ImageColumn = Annotated[
    str | None,
    typer.Option(
        "--image-column", "--image-key",
        envvar="CLIPWORKS_IMAGE_COLUMN",
        help="A table's column of pictures, or the pictures' extension in tars.",
        show_default=False,
    ),
]  # fmt: skip
CaptionColumn = Annotated[
    str | None,
    typer.Option(
        "--caption-column", "--caption-key",
        envvar="CLIPWORKS_CAPTION_COLUMN",
        help="A table's column of captions, or the captions' extension in tars.",
        show_default=False,
    ),
]  # fmt: skip
Null = Annotated[
    bool, typer.Option("--null", "-0", help="Paths end in NUL, as `find -print0` writes them.")
]
UrlTimeout = Annotated[
    float,
    typer.Option(
        min=0.1,
        envvar="CLIPWORKS_URL_TIMEOUT",
        help="Seconds that one try to fetch an address may take; there are three.",
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
    source: Sources,
    out: Out,
    model: Model = "pictograms",
    backend: Backend = "auto",
    device: Device = "cpu",
    precision: Precision = None,
    threads: Threads = 0,
    batch_size: BatchSize = 32,
    partition_size: PartitionSize = 2048,
    workers: Workers = 0,
    source_kind: SourceKind = None,
    modality: Modality = "auto",
    image_column: ImageColumn = None,
    caption_column: CaptionColumn = None,
    null: Null = False,
    url_timeout: UrlTimeout = 20.0,
    json: Json = False,
) -> None:
    """Embed pictures and their captions; the same command goes on where a run was stopped."""
    from clipworks.cli.model_option import RunOptions
    from clipworks.data.downloads import FetchLimits
    from clipworks.data.sources.source_options import SourceOptions
    from clipworks.embed.embed_settings import EmbedSettings

    settings = EmbedSettings(
        batch_size=batch_size,
        partition_size=partition_size,
        num_workers=workers,
        num_encoding=0 if device == "cpu" else _BATCHES_AT_ONCE_ELSEWHERE,
    )
    reading = SourceOptions(
        partition_size=partition_size,
        kind=source_kind,
        modality=cast("Any", modality),  # checked there
        image_column=image_column,
        caption_column=caption_column,
        nul_separated=null,
        limits=FetchLimits(timeout_s=url_timeout),
    )
    how = RunOptions(backend, device, precision, threads or settings.threads_per_batch)
    try:
        report = _run(source, out, model=model, how=how, settings=settings, reading=reading)
    except KeyboardInterrupt:
        typer.echo(
            f"clipworks: stopped; {out} keeps the partitions that are finished, and the same "
            "command goes on from there",
            err=True,
        )
        raise typer.Exit(_INTERRUPTED) from None
    _print(report, json=json)


def _run(
    typed: list[str],
    out: Path,
    *,
    model: str,
    how: RunOptions,
    settings: EmbedSettings,
    reading: SourceOptions,
) -> EmbedReport:
    from clipworks.cli.model_option import load_model, pull_model
    from clipworks.data.sources.opening import open_source
    from clipworks.embed.job import open_job
    from clipworks.embed.outcome import sum_up
    from clipworks.embed.pipeline import run_job
    from clipworks.encoders.computed_precision import card_at

    source = open_source(typed, reading, say=_say)
    bundle = pull_model(model)
    with open_job(source, out, card_at(bundle.card, how.precision), settings) as job:
        if not job.pending:
            return sum_up(job)
        embedder = load_model(bundle, how)
        warming_up = _warming_up(embedder) if source.has_images else nullcontext()
        with warming_up, _showing_progress() as tell:
            return run_job(job, embedder, report=tell)


def _say(line: str) -> None:
    typer.echo(f"clipworks: {line}", err=True)


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
