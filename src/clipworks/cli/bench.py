"""`clipworks bench`: models, backends, precisions and batch sizes, measured in turn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipworks.cli.options import Device, Json
from clipworks.errors import SettingsError

if TYPE_CHECKING:
    from rich.table import Table

    from clipworks.bench.bench_report import BenchRow
    from clipworks.bench.contenders import Contender
    from clipworks.bench.rounds import Heat, HeatResults
    from clipworks.bench.timing import Tower
    from clipworks.encoders.bundle import Bundle

Models = Annotated[
    list[str] | None,
    typer.Argument(help="Names or bundles' folders; the first is the reference.", metavar="MODEL"),
]
Backends = Annotated[
    str, typer.Option("--backends", "-b", help="Separated by commas: onnx,openvino,torch.")
]
Precisions = Annotated[
    str, typer.Option("--precisions", "-p", help="To compute in: own,bf16; own: the bundle's.")
]
Batches = Annotated[str, typer.Option("--batches", help="Rows in a forward pass: 1,8,32.")]
TowerOption = Annotated[str, typer.Option("--tower", help="image, text or both.")]
Seconds = Annotated[float, typer.Option(min=0.0, help="Of measuring, each time.")]
Rounds = Annotated[int, typer.Option(min=1, help="How often all take their turn.")]
Threads = Annotated[int, typer.Option(min=0, help="Of a forward pass; 0: the backend's choice.")]
Pictures = Annotated[
    Path | None,
    typer.Option(
        help="A folder; by default the demo's. Subfolders' names are labels, for accuracy.",
        show_default=False,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Gets bench.json, .csv, .svg, .png.", show_default=False),
]

_TOWERS: dict[str, tuple[Tower, ...]] = {
    "image": ("image",),
    "text": ("text",),
    "both": ("image", "text"),
}
_MOST_PICTURES = 64
_MOST_LABELLED = 512


def bench(
    models: Models = None,
    backends: Backends = "onnx",
    precisions: Precisions = "own",
    batches: Batches = "1,8,32",
    tower: TowerOption = "image",
    seconds: Seconds = 2.0,
    rounds: Rounds = 3,
    threads: Threads = 0,
    pictures: Pictures = None,
    device: Device = "cpu",
    out: Out = None,
    json: Json = False,
) -> None:
    """Measure speed beside accuracy; each run is a process of its own, and all take turns."""
    import tempfile

    from clipworks.bench.bench_report import make_report
    from clipworks.bench.contenders import cross
    from clipworks.cli.model_option import pull_model

    if tower not in _TOWERS:
        raise SettingsError(f"--tower {tower}: expected {', '.join(_TOWERS)}")
    sizes = _read_sizes(batches)
    wanted = [None if word == "own" else word for word in _words(precisions)]
    bundles = [pull_model(name) for name in models or ["pictograms"]]
    pairs = list(cross(bundles, _words(backends), wanted, device))
    paths = _find_pictures(pictures)
    with tempfile.TemporaryDirectory(prefix="clipworks-bench-") as scratch:
        heats = [
            heat
            for name in _TOWERS[tower]
            for heat in _make_heats(pairs, name, sizes, paths, Path(scratch))
        ]
        accuracies = _measure_accuracy(pairs, pictures)
        rows = make_report(_run(heats, rounds, seconds, threads), accuracies)
    _show(rows, json=json)
    if out:
        _write(rows, out)
    if all(row.error for row in rows):
        raise typer.Exit(1)


def _words(given: str) -> list[str]:
    words = list(dict.fromkeys(word.strip() for word in given.split(",") if word.strip()))
    if not words:
        raise SettingsError(f"{given!r}: expected words separated by commas")
    return words


def _read_sizes(batches: str) -> list[int]:
    words = _words(batches)
    if not all(word.isdecimal() and int(word) for word in words):
        raise SettingsError(f"--batches {batches}: expected whole numbers from 1: 1,8,32")
    return [int(word) for word in words]


def _find_pictures(folder: Path | None) -> list[Path]:
    from clipworks.data.packaged_pictures import packaged_pictures
    from clipworks.data.sources.folder_source import list_folder

    if folder is None:
        return packaged_pictures()[:_MOST_PICTURES]
    return [Path(s.name) for s in list_folder(folder).samples[:_MOST_PICTURES]]


def _make_heats(
    pairs: Sequence[tuple[Bundle, Contender]],
    tower: Tower,
    sizes: Sequence[int],
    pictures: Sequence[Path],
    scratch: Path,
) -> list[Heat]:
    from clipworks.bench.contenders import inputs_of
    from clipworks.bench.rounds import Heat
    from clipworks.bench.timing import write_inputs

    count = max(_MOST_PICTURES, *sizes)
    heats, inputs = [], {}
    for number, (bundle, contender) in enumerate(pairs):
        spec = bundle.card.image if tower == "image" else (bundle.card.text, bundle.folder)
        if spec not in inputs:
            path = scratch / f"{tower}_{len(inputs)}.npy"
            inputs[spec] = write_inputs(path, inputs_of(bundle, tower, pictures, count))
        heats += [
            Heat(contender, tower, size, inputs[spec], scratch / f"{tower}_{number}_{size}.npy")
            for size in sizes
        ]
    return heats


def _run(heats: Sequence[Heat], rounds: int, seconds: float, threads: int) -> list[HeatResults]:
    from clipworks.bench.rounds import run_rounds
    from clipworks.cli.console import progress_bar

    with progress_bar() as bar:
        task = bar.add_task("measuring", total=rounds * len(heats), rate="")
        started = 0

        def tell(heat: Heat) -> None:
            nonlocal started
            bar.update(
                task, completed=started, rate=f"{heat.contender.label}, batch {heat.batch_size}"
            )
            started += 1

        return run_rounds(heats, num_rounds=rounds, seconds=seconds, num_threads=threads, tell=tell)


def _measure_accuracy(
    pairs: Sequence[tuple[Bundle, Contender]], folder: Path | None
) -> dict[str, float]:
    """Where the folder's pictures have labels; first, since a picture may be unreadable."""
    from clipworks.bench.labelled_accuracy import measure_accuracy
    from clipworks.cli.console import progress_bar
    from clipworks.export.probe_inputs import folder_probes

    inputs = folder_probes(folder, most=_MOST_LABELLED) if folder else None
    if inputs is None or inputs.truth is None:
        return {}
    with progress_bar() as bar:
        task = bar.add_task("accuracy", total=len(pairs), rate="")
        started = iter(range(len(pairs)))
        return measure_accuracy(
            pairs,
            inputs,
            tell=lambda who: bar.update(task, completed=next(started), rate=who.label),
        )


def _show(rows: Sequence[BenchRow], *, json: bool) -> None:
    from dataclasses import asdict

    from clipworks.cli.console import print_json, result_console

    if json:
        print_json([asdict(row) for row in rows])
        return
    console = result_console()
    console.print(results_table(rows))
    for row in rows:
        if row.error:
            who = f"{row.model} {row.backend} {row.precision}, batch {row.batch_size}"
            typer.echo(f"clipworks: {who}: {row.error}", err=True)


def results_table(rows: Sequence[BenchRow]) -> Table:
    """What is the same in all rows stands above the table, so that it fits a terminal."""
    from rich.table import Table

    names = [(row.model, row.backend, row.precision, f"{row.tower} tower") for row in rows]
    columns = list(zip(*names, strict=True))
    fixed = [column[0] for column in columns if len(set(column)) == 1]
    varying = [column for column in columns if len(set(column)) > 1]
    table = Table(
        box=None,
        header_style="bold",
        padding=(0, 1, 0, 0),
        title=", ".join(fixed),
        title_justify="left",
        title_style="bold",
    )
    if varying:
        table.add_column("", overflow="fold")
    for name in (
        "batch",
        "rows/s",
        "ratio",
        "p50 ms",
        "p99 ms",
        "load s",
        "MB",
        "cosine",
        *(["accuracy"] if any(row.accuracy is not None for row in rows) else []),
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for number, row in enumerate(rows):
        who = [" ".join(column[number] for column in varying)] if varying else []
        table.add_row(*who, str(row.batch_size), *(["failed"] if row.error else _figures(row)))
    return table


def _figures(row: BenchRow) -> list[str]:
    return [
        f"{row.rows_per_s:,.1f}",
        f"{row.ratio:.2f}",
        f"{row.p50_ms:,.1f}",
        f"{row.p99_ms:,.1f}",
        f"{row.load_s:.2f}",
        f"{row.peak_memory_bytes / 1e6:,.0f}",
        "" if row.min_cosine is None else f"{row.min_cosine:.5f}",
        *([] if row.accuracy is None else [f"{row.accuracy:.1%}"]),
    ]


def _write(rows: Sequence[BenchRow], out: Path) -> None:
    from dataclasses import asdict

    from clipworks.bench.bench_report import write_csv
    from clipworks.errors import MissingExtraError
    from clipworks.files import write_json_atomic

    write_json_atomic(out / "bench.json", [asdict(row) for row in rows])
    write_csv(out / "bench.csv", rows)
    typer.echo(f"{out}: bench.json, bench.csv", err=True)
    try:
        for tower in dict.fromkeys(row.tower for row in rows):
            _draw([row for row in rows if row.tower == tower], out, tower)
    except MissingExtraError as error:
        typer.echo(f"clipworks: {error}", err=True)  # the figures are the lesser part


def _draw(rows: Sequence[BenchRow], out: Path, tower: str) -> None:
    from clipworks.bench.bench_report import pareto_front
    from clipworks.plots.pareto_plot import ParetoPoint, draw_pareto

    shown = [row for row in rows if row.min_cosine is not None]
    best = pareto_front(shown)
    points = [
        ParetoPoint(
            label=f"{row.precision}, {row.batch_size}",
            series=f"{row.model} {row.backend}",
            speed=row.rows_per_s,
            error=1 - (row.min_cosine or 0.0),
            is_best=row in best,
        )
        for row in shown
    ]
    if points:
        draw_pareto(
            points,
            [out / f"bench_{tower}.svg", out / f"bench_{tower}.png"],
            title=f"The {tower} tower; each point says its precision and batch size",
            speed=f"{tower}s a second",
            error="1 - the lowest cosine to the reference",
        )
