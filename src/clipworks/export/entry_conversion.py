"""A model of the catalogue, from its checkpoint on the hub to a bundle."""

from __future__ import annotations

import json
from pathlib import Path

from clipworks.encoders import hub
from clipworks.encoders.bundle import Bundle, read_bundle
from clipworks.encoders.bundle_store import find_stored, new_bundle
from clipworks.encoders.catalog import OWN_TOKENIZER, CatalogEntry, open_clip_config
from clipworks.errors import DownloadError
from clipworks.export.conversion import ConversionSettings, convert_checkpoint
from clipworks.export.open_clip_adapter import convert_open_clip

_SHARDS = ".index.json"
_TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "spiece.model",
    "tokenizer.model", "sentencepiece.bpe.model", "vocab.json", "merges.txt",
)  # fmt: skip
_SIDE_FILES = {
    "open_clip": ("open_clip_config.json", *_TOKENIZER_FILES),
    "transformers": ("config.json", "preprocessor_config.json", *_TOKENIZER_FILES),
    "openai": (),
}


def convert_entry(
    entry: CatalogEntry, *, replace_old: bool = False, watch: hub.DownloadWatcher | None = None
) -> Bundle:
    """Download a model's checkpoint and keep it as a bundle.

    Args:
        entry: of the catalogue.
        replace_old: whether a bundle of this name goes.
        watch: is told how far the downloads are.

    Raises:
        DownloadError: the hub did not give it.
        UnknownModelError: the hub has no such repository.
        CheckpointError: the weights are not what the catalogue says.
        BundleError: what came out differs from the checkpoint.
        MissingExtraError: a library is not installed.
    """
    settings = ConversionSettings(
        name=entry.name,
        source=f"hf://{entry.repository}",
        licence=entry.licence,
        attribution=entry.attribution or "",
        config=open_clip_config(entry),
    )
    if entry.loader == "native":
        checkpoint = fetch_checkpoint(entry, watch=watch)
        with new_bundle(entry.name, replace=replace_old) as folder:
            convert_checkpoint(checkpoint, folder, settings)
    else:
        with new_bundle(entry.name, replace=replace_old) as folder:
            convert_open_clip(entry.name, folder, settings, watch=watch)
    stored = find_stored(entry.name)
    assert stored is not None
    return read_bundle(stored, check_hashes=False)


def fetch_checkpoint(entry: CatalogEntry, *, watch: hub.DownloadWatcher | None = None) -> Path:
    """Download a checkpoint's weights, and the files that readers look for beside them.

    Returns:
        The file of weights, or the index of its parts.

    Raises:
        DownloadError: the hub did not give it.
        UnknownModelError: the hub has no such repository.
    """
    if entry.layout != "open_clip" or entry.tokenizer != OWN_TOKENIZER:
        present = set(hub.list_files(entry.repository))
        for name in _SIDE_FILES[entry.layout]:
            if name in present:
                hub.fetch_file(entry.repository, name)
    weights = hub.fetch_first(entry.repository, entry.weight_files, watch=watch)
    if weights.name.endswith(_SHARDS):
        for shard in _shards_of(weights):
            hub.fetch_file(entry.repository, shard, watch=watch)
    return weights


def _shards_of(index: Path) -> list[str]:
    try:
        return sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DownloadError(f"{index.name} does not say which files hold the weights") from error
