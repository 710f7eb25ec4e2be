"""What `clipworks embed` says: how far it is on stderr, and what came of it on stdout."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from clipworks.embed.outcome import EmbedProgress, EmbedReport

_NAMED_FAILURES = 10


@contextmanager
def showing_progress() -> Iterator[Callable[[EmbedProgress], None]]:
    """A bar with rate, time left and the stage that holds up the others."""
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
            if progress.slowest:
                rate += f", waiting for {progress.slowest}"
            bar.update(task, completed=progress.done, total=progress.total, rate=rate)

        yield tell


def print_report(report: EmbedReport, *, json: bool, profile: bool) -> None:
    """Print the report; what failed is a line on stderr.

    Raises:
        typer.Exit: with 1, where partitions have failed.
    """
    from dataclasses import asdict

    from clipworks.cli.console import print_json, result_console

    if json:
        print_json(asdict(report))
    else:
        console = result_console()
        console.print(_summary(report), markup=False, soft_wrap=True)
        if profile and report.partitions_made:
            console.print(_profile_table(report), markup=False, soft_wrap=True)
    if report.failed:
        typer.echo(f"clipworks: {_failures(report)}", err=True)
        raise typer.Exit(1)


def _summary(report: EmbedReport) -> str:
    parts = [f"{report.embedded:,} embedded"]
    if report.skipped:
        parts.append(f"{report.skipped:,} skipped")
    if report.incomplete:
        parts.append(f"{report.incomplete:,} without a caption or fields that could not be read")
    counts = ", ".join(parts) + (" (see errors/)" if len(parts) > 1 else "")
    if report.partitions_missing and not report.failed:
        counts += f"; {report.partitions_missing:,} of {report.partitions:,} partitions are missing"
        counts += ", which other shards make"
    if not report.partitions_made:
        done = "has none of this shard left" if report.partitions_missing else "is complete already"
        return (
            f"{report.folder}: {counts}" if report.failed else f"{report.folder} {done}: {counts}"
        )
    speed = f"{report.seconds:,.1f} s, {report.images_per_s:,.1f} images/s"
    return f"{report.folder}: {counts}; {speed}"


def _profile_table(report: EmbedReport) -> str:
    lines = [
        f"  {stage:8}{spent['seconds']:10.1f} s{spent['share']:8.1%}"
        for stage, spent in report.profile["stages"].items()
    ]
    return "\n".join([*lines, report.profile["advice"]])


def _failures(report: EmbedReport) -> str:
    numbers = ", ".join(str(one.number) for one in report.failed[:_NAMED_FAILURES])
    more = ", ..." if len(report.failed) > _NAMED_FAILURES else ""
    return (
        f"{len(report.failed):,} of {report.partitions:,} partitions could not be made ({numbers}"
        f"{more}), the last one because {report.failed[-1].reason}; the same command tries them "
        "again"
    )
