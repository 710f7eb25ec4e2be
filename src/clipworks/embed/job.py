"""What is to be done in a folder: its partitions, and which of them are done already.

A folder is begun with one source, one model and one set of settings, which `manifest.json` keeps.
A later run goes on only with the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clipworks.data.embedding_folder import (
    ERRORS_FOLDER,
    IMAGE_FOLDER,
    MANIFEST_FILE,
    METADATA_FOLDER,
    STATS_FOLDER,
    TEXT_FOLDER,
    TOTALS_FILE,
    Manifest,
    missing_partitions,
    read_manifest,
    write_manifest,
)
from clipworks.data.folder_lock import hold_folder, wait_for_turn
from clipworks.data.shard import Shard
from clipworks.data.sources.source import AbstractSource
from clipworks.data.stored_rows import check_width
from clipworks.embed.embed_settings import EmbedSettings
from clipworks.encoders.batch_sizes import ON_CPU
from clipworks.encoders.bundle import BundleCard
from clipworks.errors import FolderError, ModelMismatchError, SettingsError
from clipworks.files import explaining_writes, find_partial_files
from clipworks.inputs.fast_resizing import check_fast_resizing, has_fast_resizing

# What folders were made with before there was a choice.
_BEFORE = {"decode": "exact", "resize": "exact", "store": "fp16", "dim": 0}
_STRAY_NUMBER = re.compile(r"(\d+)\.\w+\.\w+\.part$")
_SUBFOLDERS = (IMAGE_FOLDER, TEXT_FOLDER, METADATA_FOLDER, ERRORS_FOLDER, STATS_FOLDER)


@dataclass(frozen=True)
class EmbedJob:
    """The agreement between a source and a folder.

    Attributes:
        folder: is written.
        source: is read.
        manifest: says what was agreed.
        settings: of this run, with what they had left open.
        pending: numbers of the partitions that are still to be made, by this run.
        shard: this run's share; None where it makes all.
    """

    folder: Path
    source: AbstractSource
    manifest: Manifest
    settings: EmbedSettings
    pending: list[int]
    shard: Shard | None = None


@contextmanager
def open_job(
    source: AbstractSource,
    folder: Path,
    card: BundleCard,
    settings: EmbedSettings,
    *,
    shard: Shard | None = None,
    best_batch_size: int = ON_CPU,
) -> Iterator[EmbedJob]:
    """Begin a folder, or go on with it; nobody else can until the block ends, but other shards.

    The model itself is not needed yet, only its card.

    Args:
        source: is read.
        folder: is written.
        card: the model's.
        settings: of this run.
        shard: this run's share; None where it makes all.
        best_batch_size: of a new folder, where the settings leave it open.

    Raises:
        FolderError: the folder is in use, damaged, another program's, or cannot be written.
        ModelMismatchError: the folder was begun with another model.
        SettingsError: it was begun with other settings, or the source has changed since.
        MissingExtraError: pictures are to be resized fast, which cannot be done here.
    """
    with ExitStack() as held:
        with explaining_storage(folder):
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(hold_folder(folder, shard))
            with wait_for_turn(folder):
                settings, manifest = _agree(folder, source, card, settings, best_batch_size)
            _sweep(folder, shard)
        pending = missing_partitions(folder, manifest)
        if shard:
            pending = [number for number in pending if shard.owns(number)]
        yield EmbedJob(folder, source, manifest, settings, pending, shard)


def explaining_storage(folder: Path) -> AbstractContextManager[None]:
    """Turn the system's refusal to write into one line."""
    return explaining_writes(
        folder, "the same command goes on; the partitions that are finished are kept"
    )


def _agree(
    folder: Path,
    source: AbstractSource,
    card: BundleCard,
    settings: EmbedSettings,
    best_batch_size: int,
) -> tuple[EmbedSettings, Manifest]:
    manifest = read_manifest(folder)
    settings = _fill_in(settings, manifest, best_batch_size)
    if settings.fast_resize and source.has_images:
        check_fast_resizing()
    if manifest is None:
        return settings, _begin(folder, source, card, settings)
    _check_the_same(folder, source, card, settings, manifest)
    return settings, manifest


def _fill_in(
    settings: EmbedSettings, manifest: Manifest | None, best_batch_size: int
) -> EmbedSettings:
    """What the settings leave open: as the folder was begun, else as is best here."""
    begun = _begun_with(manifest) if manifest else {}
    if not settings.batch_size:
        settings = replace(settings, batch_size=begun.get("batch_size") or best_batch_size)
    if settings.fast_resize is None:
        is_fast = begun["resize"] == "fast" if begun else has_fast_resizing()
        settings = replace(settings, fast_resize=is_fast)
    return settings


def _begun_with(manifest: Manifest) -> dict[str, Any]:
    return {**_BEFORE, **manifest.settings}


def _check_the_same(
    folder: Path,
    source: AbstractSource,
    card: BundleCard,
    settings: EmbedSettings,
    manifest: Manifest,
) -> None:
    if manifest.fingerprint != card.fingerprint:
        raise ModelMismatchError(
            f"{folder} was begun with the model {manifest.model} ({manifest.fingerprint}), not "
            f"{card.name} ({card.fingerprint}): use that model, or another folder"
        )
    begun = _begun_with(manifest)
    for name, value in {**settings.deciding, **source.options}.items():
        if begun.get(name, value) != value:
            raise SettingsError(
                f"{folder} was begun with {name} {begun[name]}, not {value}: use that, or another "
                "folder"
            )
    if manifest.source != source.description:
        raise SettingsError(
            f"{folder} was begun from {manifest.source}, not {source.description}: use another "
            "folder"
        )
    if manifest.listing_digest != source.digest:
        raise SettingsError(
            f"{source.description} has changed since {folder} was begun{_counts(manifest, source)}"
            ": embed it into another folder"
        )


def _counts(manifest: Manifest, source: AbstractSource) -> str:
    if manifest.num_samples == source.num_samples:
        return " (names of samples, captions or fields are others)"
    return f" (it had {manifest.num_samples} samples, and has {source.num_samples})"


def _begin(
    folder: Path, source: AbstractSource, card: BundleCard, settings: EmbedSettings
) -> Manifest:
    for name in _SUBFOLDERS:
        if (folder / name).exists():
            raise FolderError(
                f"{folder} holds {name}, but no {MANIFEST_FILE}, so another program made it: "
                "embed into another folder"
            )
    manifest = Manifest(
        model=card.name,
        fingerprint=card.fingerprint,
        embedding_dim=check_width(settings.store, settings.dim, card.embedding_dim),
        settings={**settings.deciding, **source.options},
        source=source.description,
        num_partitions=source.num_partitions,
        num_samples=source.num_samples,
        listing_digest=source.digest,
        columns=None if source.columns is None else dict(source.columns),
    )
    write_manifest(folder, manifest)
    return manifest


def _sweep(folder: Path, shard: Shard | None) -> None:
    """Clear away what a killed run left: only what is ours, since pictures may lie here too."""
    for name in _SUBFOLDERS:
        for stray in find_partial_files(folder / name):
            found = _STRAY_NUMBER.search(stray.name)
            if shard is None or (found and shard.owns(int(found[1]))):
                stray.unlink(missing_ok=True)
    if shard is None:
        for name in (MANIFEST_FILE, TOTALS_FILE):
            for stray in folder.glob(f".{name}.*.part"):
                stray.unlink(missing_ok=True)
