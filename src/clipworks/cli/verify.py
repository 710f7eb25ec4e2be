"""`clipworks verify`: whether a bundle still is the model that it was made of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from clipworks.cli.options import Json

if TYPE_CHECKING:
    from rich.table import Table

    from clipworks.encoders.bundle import Bundle
    from clipworks.export.verification import VerificationReport

Model = Annotated[
    str,
    typer.Argument(help="A bundle's folder, or the name of a model on this machine."),
]
Against = Annotated[
    str,
    typer.Option(
        help=r"What it was made of: another bundle, or a checkpoint (needs clipworks\[torch]).",
        show_default=False,
    ),
]
Pictures = Annotated[
    Path | None,
    typer.Option(
        help="A folder; its subfolders are labels. By default the demo's pictures.",
        exists=True, file_okay=False, show_default=False,
    ),
]  # fmt: skip
Labels = Annotated[
    str, typer.Option("--labels", "-l", help='Separated by commas: "cat, dog".', show_default=False)
]


def verify(
    model: Model,
    against: Against,
    pictures: Pictures = None,
    labels: Labels = "",
    json: Json = False,
) -> None:
    """Compare two models on the same pictures and texts; exit 1 where the limits are missed."""
    from clipworks.cli.console import print_json, result_console, stage_watcher
    from clipworks.encoders.loading import find_bundle, load
    from clipworks.export.probe_inputs import folder_probes, packaged_probes
    from clipworks.export.verification import verify_embedder

    words = [word.strip() for word in labels.split(",") if word.strip()]
    bundle = find_bundle(model)
    inputs = folder_probes(pictures, words) if pictures else packaged_probes(words)
    with _reference_bundle(against, bundle) as reference, stage_watcher() as watch:
        report = verify_embedder(
            load(bundle, backend="onnx"),
            load(reference, backend="onnx"),
            inputs,
            folders=(bundle.folder, reference.folder),
            watch=watch,
        )
    if json:
        print_json(report.to_json())
    else:
        result_console().print(_figures_table(report), _verdict(report))
    if report.failures():
        raise typer.Exit(1)


@contextmanager
def _reference_bundle(against: str, bundle: Bundle) -> Iterator[Bundle]:
    """The reference as a bundle; a checkpoint is converted, with the bundle's own inputs."""
    from clipworks.encoders.bundle import is_bundle
    from clipworks.encoders.loading import find_bundle

    path = Path(against)
    if is_bundle(path) or not path.exists():
        yield find_bundle(against)
        return
    from clipworks.extras import require

    require("torch", "comparing with a checkpoint")
    from clipworks.export.to_bundle import write_bundle
    from clipworks.models.checkpoints import load_checkpoint

    card = replace(bundle.card, name=path.name, precision="fp32", verified=())
    with TemporaryDirectory(prefix="clipworks-") as folder:
        model = load_checkpoint(path).model
        tokenizer = bundle.tokenizer.read_bytes()
        yield write_bundle(
            model, Path(folder) / "reference", card=card, tokenizer_json=tokenizer
        ).bundle


def _figures_table(report: VerificationReport) -> Table:
    from rich.table import Table

    limits = report.limits
    table = Table(title=f"{report.name} ({report.precision}) against {report.against}", box=None)
    table.add_column("")
    table.add_column("found", justify="right")
    table.add_column("at least", justify="right")
    for what, cosines in (("pictures", report.images), ("texts", report.texts)):
        table.add_row(f"{what}: lowest cosine", f"{cosines.lowest:.6f}", f"{limits.lowest_cosine}")
        table.add_row(f"{what}: 1st percentile", f"{cosines.first_percentile:.6f}", "")
        table.add_row(f"{what}: mean cosine", f"{cosines.mean:.6f}", f"{limits.mean_cosine}")
    table.add_row("same best label", f"{report.agreement:.1%}", f"{limits.agreement:.0%}")
    table.add_row("same ten neighbours", f"{report.overlap:.1%}", f"{limits.overlap:.0%}")
    if report.accuracy is not None and report.reference_accuracy is not None:
        asked = report.reference_accuracy - limits.accuracy_loss
        table.add_row("accuracy", f"{report.accuracy:.1%}", f"{asked:.1%}")
    size, other = report.size_bytes / 1e6, report.reference_size_bytes / 1e6
    table.add_row("size", f"{size:.1f} MB", f"of {other:.1f} MB")
    table.add_row("pictures a second", f"{report.speed_ratio:.2f} x", "")
    return table


def _verdict(report: VerificationReport) -> str:
    compared = f"{report.num_pictures} pictures and {report.num_texts} texts"
    failures = report.failures()
    if not failures:
        return f"\nWithin the limits of {report.precision}, on {compared}."
    return f"\nNot within the limits of {report.precision}, on {compared}: {'; '.join(failures)}."
