"""`clipworks classify`: what pictures show, in the user's own words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipworks.cli.options import Backend, Device, Json, Model, Precision, Threads
from clipworks.errors import InvalidImageError, SettingsError

if TYPE_CHECKING:
    from rich.console import Group

    from clipworks.zeroshot.classifier import Classification

Pictures = Annotated[list[Path], typer.Argument(help="Picture files.", show_default=False)]
Labels = Annotated[
    str, typer.Option("--labels", "-l", help='Separated by commas: "cat, dog".', show_default=False)
]
LabelsFile = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="One label a line.", show_default=False),
]
Templates = Annotated[
    list[str] | None,
    typer.Option(
        "--template", "-t",
        help='A sentence such as "a photo of a {}", or a set: simple, imagenet7, imagenet80.',
        show_default=False,
    ),
]  # fmt: skip

_LABELS_SHOWN = 5


def classify(
    pictures: Pictures,
    labels: Labels = "",
    labels_file: LabelsFile = None,
    template: Templates = None,
    model: Model = "pictograms",
    backend: Backend = "auto",
    device: Device = "cpu",
    precision: Precision = None,
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Say what pictures show; what cannot be read is named, and the rest goes on."""
    from clipworks.cli.console import print_json, result_console
    from clipworks.cli.model_option import RunOptions, load_model
    from clipworks.zeroshot.classifier import ZeroShotClassifier

    words = _read_labels(labels, labels_file)
    templates = _read_templates(template)
    embedder = load_model(model, RunOptions(backend, device, precision, threads))
    classifier = ZeroShotClassifier(embedder, words, templates)
    found: list[dict[str, object]] = []
    console = result_console()
    for picture in pictures:
        try:
            (result,) = classifier.classify([picture])
        except InvalidImageError as error:
            typer.echo(f"clipworks: {error}", err=True)
            continue
        found.append({"image": str(picture), **result.to_json()})
        if not json:
            console.print(_scores_table(picture, result))
    if json:
        print_json(found)
    if len(found) < len(pictures):
        raise typer.Exit(1)


def _scores_table(picture: Path, result: Classification) -> Group:
    from rich.bar import Bar
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False)
    table.add_column(justify="right", width=6)
    table.add_column(width=24)
    table.add_column(overflow="fold")
    for label, score in list(result.scores.items())[:_LABELS_SHOWN]:
        bar = Bar(1.0, 0.0, score, width=24, color="blue")
        table.add_row(f"{score:.1%}", bar, Text(label))
    hidden = len(result.scores) - _LABELS_SHOWN
    if hidden > 0:
        table.add_row("", "", Text(f"and {hidden} more", style="dim"))
    return Group(Text(str(picture), style="bold", no_wrap=True, overflow="ignore"), table)


def _read_labels(labels: str, path: Path | None) -> list[str]:
    words = [word for word in labels.split(",") if word.strip()]
    if path:
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path}: expected a text file in UTF-8: {error}") from error
        words += [line for line in lines if line.strip()]
    if not words:
        raise SettingsError('no labels: give --labels "cat, dog" or --labels-file FILE')
    return words


def _read_templates(given: list[str] | None) -> list[str] | None:
    from clipworks.zeroshot.prompts import TEMPLATE_SETS, load_templates

    if not given:
        return None
    return [
        t for name in given for t in (load_templates(name) if name in TEMPLATE_SETS else [name])
    ]
