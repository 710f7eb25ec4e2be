"""What `--model` means: a model that is there, or is fetched (and if need be converted) first.

And how it is run: `--backend`, `--device`, `--precision` and `--threads`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import typer

from clipworks.errors import SettingsError

if TYPE_CHECKING:
    from clipworks.encoders.bundle import Bundle
    from clipworks.encoders.catalog import CatalogEntry
    from clipworks.encoders.embedder import Embedder
    from clipworks.encoders.hub import DownloadWatcher


@dataclass(frozen=True)
class RunOptions:
    """How a model is to be run, as the options of that name say."""

    backend: str = "auto"
    device: str = "cpu"
    precision: str | None = None
    num_threads: int = 0


def load_model(model: str | Bundle, how: RunOptions) -> Embedder:
    """Load a model, pulled first where it is not there; tell when backends are being measured.

    Raises:
        ClipworksError: as `pull_model` and `clipworks.load` say.
    """
    from clipworks.encoders.loading import load

    bundle = pull_model(model) if isinstance(model, str) else model
    how = settle_backend(bundle, how)
    return load(
        bundle,
        backend=how.backend,
        device=how.device,
        precision=how.precision,
        num_threads=how.num_threads,
    )


def settle_backend(bundle: Bundle, how: RunOptions) -> RunOptions:
    """Put a backend's name in the place of `auto`; tell when backends are being measured.

    Raises:
        SettingsError: no backend runs the bundle so.
    """
    from clipworks.encoders.backend_choice import AUTO, choose_backend

    if how.backend != AUTO:
        return how
    choice = choose_backend(
        bundle,
        device=how.device,
        precision=how.precision,
        tell=lambda text: typer.echo(text, err=True),
    )
    return replace(how, backend=choice.backend)


def pull_model(name: str, *, convert: bool = False, replace_old: bool = False) -> Bundle:
    """Find a model on this machine, or download it; ready made where that is known.

    Args:
        name: a bundle's folder, a name of the catalogue, or `hf://org/repo`.
        convert: want the weights themselves, from the checkpoint, for training and looking inside.
        replace_old: pull again what is there.

    Raises:
        UnknownModelError: neither of these.
        SettingsError: `convert`, for a model that is not in the catalogue.
        DownloadError: the hub did not give it.
        BundleError: the bundle is damaged.
        MissingExtraError: it has to be converted, and the extra `torch` is not installed.
    """
    from clipworks.cli.download_bar import download_bar
    from clipworks.encoders.bundle import WEIGHTS_FILE
    from clipworks.encoders.catalog import find_entry
    from clipworks.encoders.loading import download_bundle, find_installed

    installed = None if replace_old else find_installed(name)
    if installed and not (convert and WEIGHTS_FILE not in (installed.card.files or {})):
        return installed
    entry = find_entry(name)
    if convert and entry is None:
        raise SettingsError(
            f"--convert: {name} is not in the catalogue, so its checkpoint is not known: "
            "clipworks convert takes one that you have"
        )
    with download_bar() as watch:
        if entry and (convert or entry.ready_export is None):
            return _convert(entry, watch, replace_old=replace_old or convert)
        return download_bundle(name, replace_old=replace_old, watch=watch)


def _convert(entry: CatalogEntry, watch: DownloadWatcher, *, replace_old: bool) -> Bundle:
    from clipworks.extras import require

    adapter = () if entry.loader == "native" else ("open_clip",)
    for library in ("torch", "onnx", "onnxscript", *adapter):  # before the download, not after it
        require(library, f"converting {entry.name}")
    from clipworks.export.entry_conversion import convert_entry

    typer.echo(f"converting {entry.name}", err=True)
    return convert_entry(entry, replace_old=replace_old, watch=watch)
