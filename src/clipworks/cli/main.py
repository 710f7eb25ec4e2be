"""The `clipworks` command: it knows the commands' names and turns errors into one line."""

from __future__ import annotations

import gc
import os
import sys

import typer

from clipworks import __version__
from clipworks.cli.bench import bench
from clipworks.cli.classify import classify
from clipworks.cli.cluster import cluster
from clipworks.cli.convert import convert
from clipworks.cli.dedup import dedup
from clipworks.cli.demo import demo
from clipworks.cli.doctor import doctor
from clipworks.cli.embed import embed
from clipworks.cli.export import app as export
from clipworks.cli.filter import filter
from clipworks.cli.index import index
from clipworks.cli.map import map
from clipworks.cli.models import models
from clipworks.cli.pull import pull
from clipworks.cli.search import search
from clipworks.cli.verify import verify
from clipworks.errors import ClipworksError

_OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""At Python's own 700 (2,000 in newer ones), the imports of a start set off many collections
that find nothing."""

app = typer.Typer(
    name="clipworks",
    help="Pictures and words to answers, with CLIP-like models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (
    demo, embed, index, search, filter, dedup, cluster, map, classify, models, pull, convert,
    verify, bench, doctor,
):  # fmt: skip
    app.command()(command)
app.add_typer(export, name="export")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None: ...


def main() -> None:
    """Run the command line; our own errors end in one line on stderr and exit code 1."""
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    try:
        app()
    except ClipworksError as error:
        typer.echo(f"clipworks: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): not an error, but Python would complain
        # once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
