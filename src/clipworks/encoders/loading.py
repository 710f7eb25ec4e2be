"""From a model's name to an embedder that is ready to run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clipworks.encoders.backend_choice import AUTO, choose_backend
from clipworks.encoders.backend_table import ALWAYS_THERE, BACKENDS
from clipworks.encoders.batch_sizes import best_batch_size
from clipworks.encoders.bundle import Bundle, is_bundle, read_bundle
from clipworks.encoders.bundle_store import find_stored, list_stored
from clipworks.encoders.catalog import CatalogEntry, find_entry, is_architecture, unknown_model
from clipworks.encoders.computed_precision import card_at
from clipworks.encoders.embedder import Embedder
from clipworks.encoders.encoder import AbstractEncoder
from clipworks.errors import BundleError, DownloadError, InputError, UnknownModelError
from clipworks.inputs.text_tokenizer import TextTokenizer

if TYPE_CHECKING:
    from clipworks.encoders.hub import DownloadWatcher

DEFAULT_MODEL = "pictograms"


def load(
    model: str | Path | Bundle = DEFAULT_MODEL,
    *,
    backend: str = AUTO,
    device: str = "cpu",
    precision: str | None = None,
    num_threads: int = 0,
) -> Embedder:
    """Load a model by name or from a bundle's folder.

    Args:
        model: a bundle's folder, or a name that `clipworks models` lists. A model of the hub is
            downloaded when first used, and kept. A bundle that was read is not checked again.
        backend: the runtime: `onnx`, `openvino`, `torch`, `torch-compile`, `tensorrt`, `kserve`,
            or `auto`: the fastest that is installed, which some seconds find out when a model is
            first used on a machine (`CLIPWORKS_BACKEND` settles it beforehand).
        device: `cpu`, `cuda`, or what else the backend names; for `kserve` a server's address,
            such as `http://host:8000` or `grpc://host:8001`.
        precision: what to compute in, `fp32`, `bf16` or `fp16`; None for the bundle's own.
            Another than that gives the model another fingerprint.
        num_threads: of one forward pass; 0 for one a core.

    Raises:
        UnknownModelError: neither a bundle nor a known name.
        BundleError: the bundle is damaged, or lacks what the backend runs.
        DownloadError: the hub did not give it.
        SettingsError: there is no such backend, device or precision, or they do not go together.
        MissingExtraError: the backend's library is not installed.
    """
    bundle = model if isinstance(model, Bundle) else find_bundle(model)
    if backend == AUTO:
        backend = choose_backend(bundle, device=device, precision=precision).backend
    encoder: AbstractEncoder = BACKENDS.load(backend)(
        bundle, device=device, precision=precision, num_threads=num_threads
    )
    card = card_at(bundle.card, precision)
    tokenizer = TextTokenizer(bundle.tokenizer, card.text)
    return Embedder(encoder, card, tokenizer, batch_size=best_batch_size(device))


def find_bundle(model: str | Path) -> Bundle:
    """Find a model's bundle: a folder, a packaged model, or one of the hub (downloaded once).

    Raises:
        UnknownModelError: neither a bundle nor a known name, or one that has to be pulled first.
        BundleError: the bundle is damaged.
        DownloadError: the hub did not give it.
    """
    if installed := find_installed(model):
        return installed
    name = str(model)
    entry = find_entry(name)
    if entry is not None and entry.ready_export is None:
        extra = "torch" if entry.loader == "native" else "open_clip"
        raise UnknownModelError(
            f"{entry.name} is not on this machine yet: clipworks pull {entry.name} "
            f"(it converts the checkpoint, with pip install 'clipworks[{extra}]')"
        )
    return download_bundle(name)


def find_installed(model: str | Path) -> Bundle | None:
    """Find a bundle that is on this machine: a folder, a packaged model, or one pulled before.

    Raises:
        BundleError: the bundle is damaged.
    """
    if is_bundle(Path(model)):
        return read_bundle(Path(model))
    entry = find_entry(str(model))
    folder = find_stored(entry.name if entry else str(model).removeprefix("hf://"))
    return read_bundle(folder) if folder else None


def download_bundle(
    name: str, *, replace_old: bool = False, watch: DownloadWatcher | None = None
) -> Bundle:
    """Download what needs no conversion: a ready export, or a bundle that stands on the hub.

    Args:
        name: of the catalogue, or `hf://org/repo`, or `org/repo`.
        replace_old: whether a bundle of this name goes.
        watch: is told how far the downloads are.

    Raises:
        UnknownModelError: no such name or repository.
        DownloadError: the hub did not give it.
        BundleError: what came does not run.
    """
    if entry := find_entry(name):
        return _download_export(entry, replace_old=replace_old, watch=watch)
    from clipworks.encoders.hub_bundle import fetch_hub_bundle, parse_repository

    repository = parse_repository(name)
    if repository is None or is_architecture(name):
        raise unknown_model(name, installed=list_stored())
    try:
        folder = fetch_hub_bundle(repository, replace_old=replace_old, watch=watch)
    except (DownloadError, UnknownModelError) as error:
        raise type(error)(
            f"{name} is neither a bundle's folder nor in the catalogue, nor a bundle on the hub: "
            f"{error}"
        ) from error
    return read_bundle(folder, check_hashes=False)


def _download_export(
    entry: CatalogEntry, *, replace_old: bool, watch: DownloadWatcher | None
) -> Bundle:
    from clipworks.encoders.ready_export import bundle_ready_export

    try:
        folder = bundle_ready_export(entry, try_out=_try_out, replace_old=replace_old, watch=watch)
    except (UnknownModelError, BundleError) as error:
        raise type(error)(
            f"{error}; clipworks pull {entry.name} --convert makes it from the checkpoint instead"
        ) from error
    return read_bundle(folder, check_hashes=False)


def _try_out(bundle: Bundle) -> None:
    """Run a grey picture and two texts through a bundle that others made.

    Raises:
        BundleError: the graphs take or give something else than a bundle's.
    """
    encoder: AbstractEncoder = BACKENDS.load(ALWAYS_THERE)(bundle)
    tokenizer = TextTokenizer(bundle.tokenizer, bundle.card.text)
    image = bundle.card.image
    try:
        pictures = encoder.encode_images(np.zeros((2, 3, image.height, image.width), np.float32))
        texts = encoder.encode_texts(tokenizer(["a cat", "a drawing of two dogs"]))
    except InputError as error:
        raise BundleError(f"{bundle.card.source} does not run: {error}") from error
    for rows in (pictures, texts):
        if rows.shape != (2, bundle.card.embedding_dim) or not np.isfinite(rows).all():
            raise BundleError(
                f"{bundle.card.source} gives {list(rows.shape)} for two rows, expected "
                f"[2, {bundle.card.embedding_dim}] of finite numbers"
            )
