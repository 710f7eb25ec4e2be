"""`clipworks pull`: a model from the hub to this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from clipworks.cli.options import Json

if TYPE_CHECKING:
    from clipworks.encoders.bundle import Bundle

Name = Annotated[
    str,
    typer.Argument(
        help="A name that `clipworks models` lists, or org/repo of a bundle on the hub.",
        show_default=False,
    ),
]
Convert = Annotated[
    bool,
    typer.Option(
        "--convert",
        help="Convert the checkpoint even where ready graphs exist: its weights stay at hand.",
    ),
]
Again = Annotated[
    bool, typer.Option("--again", help="Pull again what is on this machine: it may have changed.")
]

_INTERRUPTED = 130  # what shells expect of a command that Ctrl-C has ended


def pull(name: Name, convert: Convert = False, again: Again = False, json: Json = False) -> None:
    """Download a model, ready to run, and print its folder; a stopped download goes on.

    CLIPWORKS_HUB_MIRROR or HF_ENDPOINT names a mirror, HF_TOKEN opens gated repositories,
    HF_HUB_OFFLINE=1 takes what is in the cache.

    Bundles are kept in CLIPWORKS_CACHE.
    """
    from clipworks.cli.model_option import pull_model

    try:
        bundle = pull_model(name, convert=convert, replace_old=again)
    except KeyboardInterrupt:
        typer.echo(
            "clipworks: stopped; what has come is kept, and the same command goes on from there",
            err=True,
        )
        raise typer.Exit(_INTERRUPTED) from None
    _print(bundle, json=json)


def _print(bundle: Bundle, *, json: bool) -> None:
    from clipworks.cli.console import print_json
    from clipworks.cli.download_bar import size_text

    card = bundle.card
    size_bytes = sum(path.stat().st_size for path in bundle.folder.rglob("*") if path.is_file())
    if json:
        print_json(
            {
                "name": card.name,
                "folder": str(bundle.folder),
                "fingerprint": card.fingerprint,
                "size_bytes": size_bytes,
                "source": card.source,
                "licence": card.licence,
                "attribution": card.attribution,
            }
        )
        return
    typer.echo(
        f"{card.name}: {size_text(size_bytes)}, from {card.source}, licence of the weights: "
        f"{card.licence}",
        err=True,
    )
    typer.echo(bundle.folder)
