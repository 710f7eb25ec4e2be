"""Embedding folders that grow and shrink, their indexes with them.

Rows are added at the end and deleted by being remembered as deleted, so that no row's number
changes; compacting takes the deleted ones out and numbers the others anew, everywhere at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from clipworks.data.embedding_folder import (
    ERRORS_FOLDER,
    IMAGE_FOLDER,
    MANIFEST_FILE,
    METADATA_FOLDER,
    STATS_FOLDER,
    TEXT_FOLDER,
    TOTALS_FILE,
    Manifest,
    existing_partitions,
    read_manifest,
    write_manifest,
)
from clipworks.data.folder_lock import hold_folder
from clipworks.errors import FolderError, ModelMismatchError, ServerError
from clipworks.files import explaining_writes
from clipworks.search.build import AGAIN, BuildOrder, old_index, write_indexes
from clipworks.search.deleted_rows import DELETED_FILE, kept_rows, read_deleted, write_deleted
from clipworks.search.embedding_rows import EmbeddingRows
from clipworks.search.folder_contents import MODALITIES, FolderContents, Modality, read_contents
from clipworks.search.folder_exchange import next_state
from clipworks.search.folder_partitions import (
    partition_parts,
    write_partitions,
)
from clipworks.search.index import INDEXES, AbstractStoredIndex, Allowed
from clipworks.search.index_card import CARD_FILE, IndexCard, read_index_card
from clipworks.search.index_folder import index_path
from clipworks.search.index_plan import plan_index
from clipworks.search.metadata import MetadataTable
from clipworks.search.named_rows import find_named_rows
from clipworks.search.row_store import ROW_STORE_FILE

_OURS = frozenset(
    {
        IMAGE_FOLDER, TEXT_FOLDER, METADATA_FOLDER, ERRORS_FOLDER, STATS_FOLDER,
        MANIFEST_FILE, TOTALS_FILE, CARD_FILE, DELETED_FILE, ROW_STORE_FILE,
        "image.index", "text.index",
    }
)  # fmt: skip
_OUTGROWN = 4  # times as many lists would be right by now


@dataclass(frozen=True)
class DeletionReport:
    """What came of a deletion.

    Attributes:
        deleted: rows that were found until now, and are not any more.
        deleted_in_all: rows that are not found.
        rows: in the folder, the deleted ones too.
    """

    deleted: int
    deleted_in_all: int
    rows: int


def delete_rows(folder: Path, names: Iterable[str]) -> DeletionReport:
    """Delete samples by their row ids or their pictures' paths; searches find them no more.

    Args:
        folder: an embedding folder.
        names: an id or a path each; blank ones do not count.

    Raises:
        FolderError: the folder is missing, unfinished, damaged or in use.
        InputError: one of the names is none of the folder's; nothing is deleted then.
    """
    num_rows = _count_rows(folder)
    with explaining_writes(folder, AGAIN), hold_folder(folder):
        before = read_deleted(folder, num_rows)
        found = find_named_rows(folder, names, num_rows)
        after = np.union1d(before, found)
        if len(after) > len(before):
            write_deleted(folder, after)
    return DeletionReport(len(after) - len(before), len(after), num_rows)


def add_folder(folder: Path, other: Path, order: BuildOrder) -> IndexCard:
    """Add another folder's samples, as further partitions; the index takes them in.

    Args:
        folder: grows.
        other: stays as it is; its deleted rows are left behind.
        order: how to index what the old index cannot take in.

    Raises:
        FolderError: one of the folders is missing, unfinished, damaged or in use.
        ModelMismatchError: they were made by two models.
        InputError: a column is of another type in the other folder.
    """
    if folder.resolve() == other.resolve():
        raise FolderError(f"{other} is the folder itself: give another one to add")
    contents, added = read_contents(folder), read_contents(other)
    _check_same_model(folder, contents, other, added)
    old_parts = partition_parts(folder, contents, None)
    new_parts = partition_parts(other, added, kept_rows(other, added.metadata.size))
    card = _readable_card(folder, contents)
    with explaining_writes(folder, AGAIN), next_state(folder, _OURS) as new:
        parts = [*old_parts, *new_parts]
        write_partitions(new, parts, _dims(contents) | _dims(added))
        _write_joint_manifest(new, contents.manifest, added.manifest, len(parts))
        deleted = read_deleted(folder, contents.metadata.size)
        if len(deleted):
            write_deleted(new, deleted)
        joint = read_contents(new)
        made = _grown_indexes(folder, new, card, joint, len(old_parts), order)
        joint_card = write_indexes(new, joint, order, made)
        left = _left_on_servers(folder)
    _discard(left)
    return joint_card


def compact_folder(folder: Path, order: BuildOrder) -> int:
    """Take the deleted rows out of the partitions and the index; the others are numbered anew.

    Args:
        folder: an embedding folder.
        order: how to index anew what cannot be thinned out.

    Returns:
        How many rows went.

    Raises:
        FolderError: the folder is missing, unfinished, damaged or in use.
    """
    contents = read_contents(folder)
    kept = kept_rows(folder, contents.metadata.size)
    if kept is None:
        return 0
    parts = partition_parts(folder, contents, kept)
    card = _readable_card(folder, contents)
    with explaining_writes(folder, AGAIN), next_state(folder, _OURS) as new:
        write_partitions(new, parts, _dims(contents))
        if contents.manifest:
            write_manifest(new, _thinner_manifest(contents.manifest, kept, len(parts)))
        if card and kept.any():
            made = _thinned_indexes(folder, card, kept)
            write_indexes(new, read_contents(new), replace(order, backend=card.backend), made)
        left = _left_on_servers(folder)
    _discard(left)
    return int((~kept).sum())


def _count_rows(folder: Path) -> int:
    """How many samples there are, in folders too that hold an index and metadata alone."""
    if read_manifest(folder):
        return read_contents(folder).metadata.size
    return MetadataTable([part.metadata for part in existing_partitions(folder)]).size


def _left_on_servers(folder: Path) -> list[AbstractStoredIndex]:
    """Collections of the state that is being replaced; they go once the new one is in place."""
    found = [old_index(folder, modality) for modality in MODALITIES]
    return [index for index in found if index]


def _discard(indexes: list[AbstractStoredIndex]) -> None:
    for index in indexes:
        with suppress(ServerError):  # what stays there costs room, and is asked by nobody
            index.discard()


def _check_same_model(
    folder: Path, contents: FolderContents, other: Path, added: FolderContents
) -> None:
    mine, theirs = contents.manifest, added.manifest
    if (mine and mine.fingerprint) != (theirs and theirs.fingerprint):
        names = [
            f"{path} was made with {each.model} ({each.fingerprint})"
            if each
            else f"{path} does not say which model made it"
            for path, each in ((folder, mine), (other, theirs))
        ]
        raise ModelMismatchError(f"{names[0]}, and {names[1]}: embed {other} with the same model")
    widths = {rows.embedding_dim for each in (contents, added) for rows in each.rows.values()}
    if len(widths - {0}) > 1:
        raise ModelMismatchError(
            f"{folder} and {other} hold embeddings of {sorted(widths)} numbers, so two models made "
            "them: embed one of them again"
        )
    ours, others = ((each and each.columns) or {} for each in (mine, theirs))
    for name in ours.keys() & others.keys():
        if ours[name] != others[name]:
            raise FolderError(
                f"the column {name} is {ours[name]} in {folder} and {others[name]} in {other}: "
                "make them alike, and embed again"
            )


def _dims(contents: FolderContents) -> dict[str, int]:
    return {modality: rows.embedding_dim for modality, rows in contents.rows.items()}


def _readable_card(folder: Path, contents: FolderContents) -> IndexCard | None:
    """The card of an index that is in step with the folder; others are built anew."""
    card = read_index_card(folder)
    if card is None or card.rows != contents.metadata.size or not card.is_of(contents.manifest):
        return None
    return card


def _write_joint_manifest(
    new: Path, mine: Manifest | None, theirs: Manifest | None, num_partitions: int
) -> None:
    if mine is None or theirs is None:
        return
    numbers = (mine.num_samples, theirs.num_samples)
    columns = (theirs.columns, mine.columns)
    joint = replace(
        mine,
        source=f"{mine.source}, {theirs.source}",
        num_partitions=num_partitions,
        num_samples=None if None in numbers else sum(number or 0 for number in numbers),
        listing_digest=_digest(mine.listing_digest, theirs.listing_digest),
        columns=None if None in columns else {**(columns[0] or {}), **(columns[1] or {})},
    )
    write_manifest(new, joint)


def _thinner_manifest(manifest: Manifest, kept: Allowed, num_partitions: int) -> Manifest:
    return replace(
        manifest,
        num_partitions=num_partitions,
        num_samples=int(kept.sum()),
        listing_digest=_digest(manifest.listing_digest, np.packbits(kept).tobytes().hex()),
    )


def _digest(*parts: str) -> str:
    """A digest that no listing has, so that `clipworks embed` does not take it for its own."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _grown_indexes(
    folder: Path,
    new: Path,
    card: IndexCard | None,
    joint: FolderContents,
    num_old: int,
    order: BuildOrder,
) -> dict[Modality, AbstractStoredIndex]:
    made: dict[Modality, AbstractStoredIndex] = {}
    for modality in MODALITIES if card and card.backend == order.backend else ():
        path = index_path(folder, modality)
        if card is None or modality not in card.kinds or _is_outgrown(card, joint, modality, order):
            continue
        rows = EmbeddingRows(_arrays_of(new, modality, num_old))
        index = INDEXES.load(card.backend).open(path).grown(rows)
        if index is not None and index.size == joint.metadata.size:
            made[modality] = index
    return made


def _is_outgrown(
    card: IndexCard, joint: FolderContents, modality: Modality, order: BuildOrder
) -> bool:
    """Whether the grown folder would get another kind of index, or many more lists."""
    settings, dim = replace(order.settings, rows=modality), joint.rows[modality].embedding_dim
    then = plan_index(card.rows, dim, settings)
    now = plan_index(joint.metadata.size, dim, settings)
    return now.kind != then.kind or now.lists >= _OUTGROWN * max(1, then.lists)


def _arrays_of(folder: Path, modality: Modality, skip: int) -> list[Path]:
    files = list(existing_partitions(folder))[skip:]
    return [
        each.image_embeddings if modality == "image" else each.text_embeddings for each in files
    ]


def _thinned_indexes(
    folder: Path, card: IndexCard, kept: Allowed
) -> dict[Modality, AbstractStoredIndex]:
    made: dict[Modality, AbstractStoredIndex] = {}
    for modality in MODALITIES:
        if modality in card.kinds:
            index = INDEXES.load(card.backend).open(index_path(folder, modality)).thinned(kept)
            if index is not None:
                made[modality] = index
    return made
