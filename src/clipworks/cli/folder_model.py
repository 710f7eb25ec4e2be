"""The model that an embedding folder was made with, loaded as it was computed then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipworks.errors import UnknownModelError

if TYPE_CHECKING:
    from clipworks.cli.model_option import RunOptions
    from clipworks.encoders.bundle import Bundle
    from clipworks.encoders.embedder import Embedder
    from clipworks.search.searcher import RecordedModel

FolderModel = Annotated[
    str | None,
    typer.Option(
        "--model", "-m",
        envvar="CLIPWORKS_MODEL",
        help="A name or a bundle's folder; by default the model that made the folder.",
        show_default=False,
    ),
]  # fmt: skip


def load_folder_model(folder: Path, model: str | None, how: RunOptions) -> Embedder:
    """Load the model that is given, or else the one that made a folder.

    Raises:
        UnknownModelError: the recorded model cannot be had by its name.
        ClipworksError: as `load_model` says.
    """
    from clipworks.cli.model_option import load_model, pull_model
    from clipworks.encoders.loading import DEFAULT_MODEL
    from clipworks.search.searcher import recorded_model

    recorded = recorded_model(folder)
    if not model and not recorded:
        typer.echo(
            f"{folder} does not say which model made it: taking {DEFAULT_MODEL}, unchecked "
            "(--model names another)",
            err=True,
        )
        return load_model(DEFAULT_MODEL, how)
    try:
        bundle = pull_model(model or (recorded.name if recorded else DEFAULT_MODEL))
    except UnknownModelError as error:
        if model or not recorded:
            raise
        raise UnknownModelError(
            f"{folder} was made with {recorded.name} (fingerprint {recorded.fingerprint}), which "
            f"cannot be had by that name ({error}): give its bundle's folder with --model"
        ) from error
    return load_model(bundle, _as_recorded(how, bundle, recorded))


def _as_recorded(how: RunOptions, bundle: Bundle, recorded: RecordedModel | None) -> RunOptions:
    """Compute queries in what the folder was computed in, unless told otherwise."""
    from clipworks.encoders.computed_precision import find_precision

    if how.precision or not recorded:
        return how
    return replace(how, precision=find_precision(bundle.card, recorded.fingerprint))
