"""`clipworks doctor`: what this machine has for running models, and what runs one best."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from clipworks import __version__
from clipworks.cli.options import Device, Json, Precision
from clipworks.errors import SettingsError

if TYPE_CHECKING:
    from rich.table import Table

    from clipworks.encoders.backend_choice import BackendChoice
    from clipworks.encoders.bundle import Bundle
    from clipworks.encoders.machine_report import BackendReport, MachineReport

ModelName = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL",
        help="Say, too, which backend `auto` means for this model.",
        show_default=False,
    ),
]
Measure = Annotated[bool, typer.Option("--measure", help="Measure the backends now, anew.")]

_GIB = 2**30


def doctor(
    model: ModelName = None,
    device: Device = "cpu",
    precision: Precision = None,
    measure: Measure = False,
    json: Json = False,
) -> None:
    """Report what this machine has for running models."""
    from clipworks.cli.console import print_json, result_console
    from clipworks.encoders.machine_report import report_machine

    if measure and not model:
        raise SettingsError("--measure needs a model: clipworks doctor pictograms --measure")
    choice = _find_choice(model, device, precision, measure=measure) if model else None
    report = report_machine()
    if json:
        document = {"clipworks": __version__, **asdict(report)}
        if model:
            document["choice"] = {"model": model, **asdict(choice)} if choice else None
        print_json(document)
        return
    console = result_console()
    console.print(machine_table(report))
    console.print(backends_table(report.backends))
    if model:
        console.print(f"\n{_explain(model, choice)}", markup=False)
    if choice and choice.measurements:
        console.print(measurements_table(choice))


def _find_choice(
    model: str, device: str, precision: str | None, *, measure: bool
) -> BackendChoice | None:
    from clipworks.encoders.backend_choice import choose_backend, recall_choice

    bundle = _find_bundle(model)
    if not measure:
        return recall_choice(bundle, device=device, precision=precision)
    return choose_backend(
        bundle,
        device=device,
        precision=precision,
        remeasure=True,
        tell=lambda text: typer.echo(text, err=True),
    )


def _find_bundle(model: str) -> Bundle:
    """A model that is there: to look at a machine is no reason to download anything."""
    from clipworks.encoders.loading import find_installed
    from clipworks.errors import UnknownModelError

    if bundle := find_installed(model):
        return bundle
    raise UnknownModelError(f"{model} is not on this machine: clipworks pull {model} fetches it")


def machine_table(report: MachineReport) -> Table:
    """Draw what is there, but for the backends."""
    from rich.table import Table
    from rich.text import Text

    from clipworks.cli.download_bar import size_text

    cpu, hub = report.cpu, report.hub
    memory = report.memory_bytes
    rows = {
        "clipworks": f"{__version__}, Python {report.python}, {report.system}",
        "processor": f"{cpu.model}, {cpu.cores} cores {' '.join(cpu.flags)}".rstrip(),
        "memory": f"{memory / _GIB:.1f} GiB" if memory else "unknown",
        "GPU": "; ".join(report.gpus) or "none that nvidia-smi sees",
        "extras": ", ".join(one.name for one in report.extras if not one.missing) or "none",
        "not installed": ", ".join(one.name for one in report.extras if one.missing) or "none",
        "cache": f"{report.cache.folder} ({size_text(report.cache.size_bytes)})",
        "hub": f"{hub.endpoint}{', offline (HF_HUB_OFFLINE)' if hub.offline else ''}"
        f"{', with a token' if hub.has_token else ''}",
    }
    table = Table(box=None, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for title, text in rows.items():
        table.add_row(title, Text(text))
    return table


def backends_table(backends: tuple[BackendReport, ...]) -> Table:
    """Draw the backends: where each runs, or how it is had."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", title_justify="left")
    for title in ("backend", "version", "runs on"):
        table.add_column(title, overflow="fold")
    for one in backends:
        if one.problem:
            state = f"broken: {one.problem}"
        elif one.version is None:
            state = one.pip
        else:
            state = ", ".join(one.devices) or "no device here"
        style = "red" if one.problem else (None if one.version else "dim")
        table.add_row(one.name, one.version or "-", Text(state), style=style)
    return table


def measurements_table(choice: BackendChoice) -> Table:
    """Draw what the choice rests on, in pictures a second."""
    from rich.table import Table
    from rich.text import Text

    from clipworks.encoders.backend_probe import BATCH_SIZES

    table = Table(box=None, header_style="bold")
    table.add_column("backend")
    for size in BATCH_SIZES:
        table.add_column(f"batch {size}", justify="right")
    table.add_column("load", justify="right")
    table.add_column("", overflow="fold")
    for one in choice.measurements:
        rates = [one.seconds_per_image.get(str(size)) for size in BATCH_SIZES]
        cells = [f"{1 / seconds:,.1f}/s" if seconds else "-" for seconds in rates]
        load = f"{one.load_s:.1f} s" if one.load_s is not None else "-"
        chosen = one.backend == choice.backend
        note = Text(one.error or ("chosen" if chosen else ""))
        table.add_row(one.backend, *cells, load, note, style="green" if chosen else None)
    return table


def _explain(model: str, choice: BackendChoice | None) -> str:
    if choice is None:
        return (
            f"{model}: not measured yet; its first use will, or clipworks doctor {model} --measure"
        )
    return f"{model}: auto means {choice.backend}: {choice.reason}"
