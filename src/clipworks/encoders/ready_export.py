"""A bundle from ONNX graphs that others have put on the hub: nothing is converted.

Two layouts are known. `open_clip` is immich's: `visual/`, `textual/`, open_clip's own settings.
`transformers` is that of Transformers.js and Optimum: `onnx/`, settings as in `transformers`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from clipworks.encoders import hub
from clipworks.encoders.bundle import (
    IMAGE_GRAPH_FILE,
    SIGLIP_FAMILIES,
    TEXT_GRAPH_FILE,
    TOKENIZER_FILE,
    Bundle,
    BundleCard,
    seal_bundle,
)
from clipworks.encoders.bundle_store import find_stored, new_bundle, place_file
from clipworks.encoders.catalog import OWN_TOKENIZER, CatalogEntry, Layout
from clipworks.encoders.learned_scale import LearnedScale, read_learned_scale
from clipworks.errors import BundleError, DownloadError, UnknownModelError
from clipworks.inputs.clip_vocabulary import clip_tokenizer_from_hf
from clipworks.inputs.library_settings import read_open_clip_settings, read_transformers_settings
from clipworks.inputs.specs import Cleaning, ImageSpec, TextSpec
from clipworks.inputs.tokenizer_frame import text_spec_of_tokenizer

# Where the checkpoint cannot be asked for the learned scale: CLIP's training holds it below 100,
# where the published models have ended (Radford et al. 2021, section 2.5).
LOGIT_SCALE = 100.0

_UNKNOWN = "unknown"

_OTHER_RUNTIMES = (".armnn", ".rknn", ".json", ".txt", ".md")


@dataclass(frozen=True)
class _Files:
    """Where an export keeps what a bundle needs."""

    image_graph: str
    text_graph: str
    tokenizer: str
    tokenizer_config: str
    settings: str
    read_settings: Callable[[Mapping[str, Any], ImageSpec], ImageSpec]
    # How the library that the files belong to cleans a family's texts, if not as open_clip does.
    cleanings: Mapping[str, Cleaning] = field(default_factory=dict)


def bundle_ready_export(
    entry: CatalogEntry,
    *,
    try_out: Callable[[Bundle], None],
    replace_old: bool = False,
    watch: hub.DownloadWatcher | None = None,
) -> Path:
    """Download a model's ready export and keep it as a bundle.

    Args:
        entry: of the catalogue, with a ready export.
        try_out: runs the new bundle once, and raises where it does not run.
        replace_old: whether a bundle of this name goes.
        watch: is told how far the downloads are.

    Returns:
        The bundle's folder.

    Raises:
        DownloadError: the hub did not give it.
        BundleError: the export is not what its layout promises.
        CheckpointError: its settings say something that we cannot do.
    """
    assert entry.ready_export is not None
    repository, files = entry.ready_export.repository, _LAYOUTS[entry.ready_export.layout]
    tokenizer, text = _fetch_tokenizer(entry, repository, files)  # first: it fails quickly
    settings = _read_settings(hub.fetch_file(repository, files.settings))
    image = files.read_settings(settings, entry.image)
    learned = _learned_scale(entry)
    with new_bundle(entry.name, replace=replace_old) as folder:
        _place_towers(repository, files, folder, watch)
        (folder / TOKENIZER_FILE).write_bytes(tokenizer)
        try_out(seal_bundle(folder, _describe(entry, image, text, learned)))
    stored = find_stored(entry.name)
    assert stored is not None
    return stored


def _fetch_tokenizer(entry: CatalogEntry, repository: str, files: _Files) -> tuple[bytes, TextSpec]:
    content = hub.fetch_file(repository, files.tokenizer).read_bytes()
    if entry.tokenizer == OWN_TOKENIZER:
        return clip_tokenizer_from_hf(content), entry.text
    config = hub.fetch_file(repository, files.tokenizer_config).read_bytes()
    usual = replace(entry.text, cleaning=files.cleanings.get(entry.family, entry.text.cleaning))
    return content, text_spec_of_tokenizer(content, usual, tokenizer_config=config)


def _learned_scale(entry: CatalogEntry) -> LearnedScale:
    """What the checkpoint says; where it cannot be asked, what is true of every CLIP.

    Raises:
        BundleError: of a model with a bias, whose scores are nothing without it.
    """
    file = next((one for one in entry.weight_files if one.endswith(".safetensors")), None)
    try:
        if file is None:
            raise DownloadError(f"{entry.repository} has no safetensors file")
        return read_learned_scale(entry.repository, file)
    except (DownloadError, UnknownModelError) as error:
        if entry.family in SIGLIP_FAMILIES:
            raise BundleError(
                f"{entry.name}: its scores need the scale and the bias of the checkpoint: {error}"
            ) from error
        return LearnedScale(LOGIT_SCALE, None)


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise BundleError(f"{path} is damaged: {error}") from error
    if not isinstance(settings, dict):
        raise BundleError(f"{path} is damaged: expected a JSON object")
    return settings


def _place_towers(
    repository: str, files: _Files, folder: Path, watch: hub.DownloadWatcher | None
) -> None:
    """Put both graphs into the bundle, and the files beside them that hold their weights."""
    listing = hub.list_files(repository)
    towers = ((files.image_graph, IMAGE_GRAPH_FILE), (files.text_graph, TEXT_GRAPH_FILE))
    for graph, name in towers:
        place_file(hub.fetch_file(repository, graph, watch=watch), folder / name)
        for weights in _external_weights(graph, listing):
            target = folder / PurePosixPath(weights).name
            if target.exists():
                raise BundleError(f"{repository}: both towers have a file {target.name}")
            place_file(hub.fetch_file(repository, weights, watch=watch), target)


def _external_weights(graph: str, listing: list[str]) -> list[str]:
    """Files beside a graph that hold its weights, where it has more than 2 GB of them."""
    path = PurePosixPath(graph)
    beside = [name for name in listing if PurePosixPath(name).parent == path.parent]
    if path.name == "model.onnx":  # the tower has the folder for itself
        return [name for name in beside if name != graph and not name.endswith(_OTHER_RUNTIMES)]
    return [name for name in beside if PurePosixPath(name).name.startswith(f"{path.name}_data")]


def _describe(
    entry: CatalogEntry, image: ImageSpec, text: TextSpec, learned: LearnedScale
) -> BundleCard:
    assert entry.ready_export is not None
    return BundleCard(
        name=entry.name,
        family=entry.family,
        source=f"hf://{entry.ready_export.repository}",
        embedding_dim=entry.embedding_dim,
        image=image,
        text=text,
        activation=entry.activation or _UNKNOWN,
        logit_scale=learned.scale,
        logit_bias=learned.bias or 0.0,
        scores="softmax" if learned.bias is None else "sigmoid",
        licence=entry.licence or _UNKNOWN,
        attribution=entry.attribution or "",
    )


_LAYOUTS: dict[Layout, _Files] = {
    "open_clip": _Files(
        image_graph="visual/model.onnx",
        text_graph="textual/model.onnx",
        tokenizer="textual/tokenizer.json",
        tokenizer_config="textual/tokenizer_config.json",
        settings="visual/preprocess_cfg.json",
        read_settings=read_open_clip_settings,
    ),
    "transformers": _Files(
        image_graph="onnx/vision_model.onnx",
        text_graph="onnx/text_model.onnx",
        tokenizer="tokenizer.json",
        tokenizer_config="tokenizer_config.json",
        settings="preprocessor_config.json",
        read_settings=read_transformers_settings,
        cleanings={"siglip": "siglip", "siglip2": "none"},
    ),
}
