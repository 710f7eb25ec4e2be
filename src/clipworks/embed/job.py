"""What is to be done in a folder: its partitions, and which of them are done already.

A folder is begun with one source, one model and one set of settings, which `manifest.json` keeps.
A later run goes on only with the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from clipworks.data.columns import find_columns
from clipworks.data.embedding_folder import (
    ERRORS_FOLDER,
    IMAGE_FOLDER,
    MANIFEST_FILE,
    METADATA_FOLDER,
    STATS_FOLDER,
    TEXT_FOLDER,
    Manifest,
    missing_partitions,
    read_manifest,
    write_manifest,
)
from clipworks.data.folder_lock import hold_folder
from clipworks.data.partitions import Partition, count_partitions, get_partition
from clipworks.data.samples import storable
from clipworks.data.sources.folder_source import FolderListing, list_folder
from clipworks.embed.embed_settings import EmbedSettings
from clipworks.encoders.bundle import BundleCard
from clipworks.errors import FolderError, ModelMismatchError, SettingsError
from clipworks.extras import require
from clipworks.files import remove_partial_files

_SUBFOLDERS = (IMAGE_FOLDER, TEXT_FOLDER, METADATA_FOLDER, ERRORS_FOLDER, STATS_FOLDER)


@dataclass(frozen=True)
class EmbedJob:
    """The agreement between a source and a folder.

    Attributes:
        folder: is written.
        listing: is read.
        manifest: says what was agreed.
        settings: of this run.
        pending: numbers of the partitions that are still to be made.
    """

    folder: Path
    listing: FolderListing
    manifest: Manifest
    settings: EmbedSettings
    pending: list[int]

    def partition(self, number: int) -> Partition:
        """One of the partitions."""
        return get_partition(self.listing.samples, self.settings.partition_size, number)


@contextmanager
def open_job(
    source: Path, folder: Path, card: BundleCard, settings: EmbedSettings
) -> Iterator[EmbedJob]:
    """Begin a folder, or go on with it; nobody else can until the block ends.

    The model itself is not needed yet, only its card.

    Raises:
        FolderError: the source has no pictures, or the folder is in use, damaged, another
            program's, or cannot be written.
        ModelMismatchError: the folder was begun with another model.
        SettingsError: it was begun with other settings, or the source has changed since.
        MissingExtraError: there are pictures that an optional library reads.
    """
    listing = list_folder(source)
    if any(s.image_path.lower().endswith((".heic", ".heif")) for s in listing.samples):
        require("pillow_heif", "reading HEIC pictures")
    with ExitStack() as held:
        with explaining_storage(folder):
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(hold_folder(folder))
            manifest = _agree(folder, listing, card, settings)
            _sweep(folder)
        pending = missing_partitions(folder, manifest)
        yield EmbedJob(folder, listing, manifest, settings, pending)


@contextmanager
def explaining_storage(folder: Path) -> Iterator[None]:
    """Turn the system's refusal to write into one line."""
    try:
        yield
    except OSError as error:
        raise FolderError(
            f"{folder} cannot be written: {error.strerror or error}: when that is mended, the "
            "same command goes on; the partitions that are finished are kept"
        ) from error


def _agree(
    folder: Path, listing: FolderListing, card: BundleCard, settings: EmbedSettings
) -> Manifest:
    manifest = read_manifest(folder)
    if manifest is None:
        return _begin(folder, listing, card, settings)
    if manifest.fingerprint != card.fingerprint:
        raise ModelMismatchError(
            f"{folder} was begun with the model {manifest.model} ({manifest.fingerprint}), not "
            f"{card.name} ({card.fingerprint}): use that model, or another folder"
        )
    for name, value in settings.deciding.items():
        begun = manifest.settings.get(name)
        if begun != value:
            raise SettingsError(
                f"{folder} was begun with {name} {begun}, not {value}: use that, or another folder"
            )
    if manifest.source != storable(str(listing.folder)):
        raise SettingsError(
            f"{folder} was begun from {manifest.source}, not {listing.folder}: use another folder"
        )
    if manifest.listing_digest != listing.digest:
        raise SettingsError(
            f"{listing.folder} has changed since {folder} was begun (it had "
            f"{manifest.num_samples} pictures, and has {len(listing.samples)}, or their names, "
            "captions or JSON files are others): embed it into another folder"
        )
    return manifest


def _begin(
    folder: Path, listing: FolderListing, card: BundleCard, settings: EmbedSettings
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
        embedding_dim=card.embedding_dim,
        settings=settings.deciding,
        source=storable(str(listing.folder)),
        num_partitions=count_partitions(len(listing.samples), settings.partition_size),
        num_samples=len(listing.samples),
        listing_digest=listing.digest,
        columns=find_columns(listing.samples),
    )
    write_manifest(folder, manifest)
    return manifest


def _sweep(folder: Path) -> None:
    """Clear away what a killed run left: only what is ours, since pictures may lie here too."""
    for name in _SUBFOLDERS:
        remove_partial_files(folder / name)
    for stray in folder.glob(f".{MANIFEST_FILE}.*.part"):
        stray.unlink(missing_ok=True)
