"""What an embedding folder holds: its manifest, its metadata and its embeddings, in step."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clipworks.data.embedding_folder import (
    IMAGE_FOLDER,
    TEXT_FOLDER,
    Manifest,
    existing_partitions,
    missing_partitions,
    read_manifest,
)
from clipworks.errors import FolderError
from clipworks.search.embedding_rows import EmbeddingRows
from clipworks.search.metadata import MetadataTable

Modality = Literal["image", "text"]
MODALITIES: tuple[Modality, ...] = ("image", "text")


@dataclass(frozen=True)
class FolderContents:
    """An embedding folder whose arrays and tables have the same rows in the same order.

    Attributes:
        manifest: None where clip-retrieval wrote the folder.
        metadata: one row a sample.
        rows: the embeddings of each modality that the folder has.
    """

    manifest: Manifest | None
    metadata: MetadataTable
    rows: dict[Modality, EmbeddingRows]


def read_contents(folder: Path) -> FolderContents:
    """Open an embedding folder, and check that it is complete and in step.

    Raises:
        FolderError: it is missing, unfinished or damaged.
    """
    manifest = read_manifest(folder)
    if manifest:
        _check_complete(folder, manifest)
    partitions = list(existing_partitions(folder))
    metadata = MetadataTable([partition.metadata for partition in partitions])
    sizes = [size for size in metadata.file_sizes if size]
    filled = [p for p, size in zip(partitions, metadata.file_sizes, strict=True) if size]
    rows: dict[Modality, EmbeddingRows] = {}
    if (folder / IMAGE_FOLDER).is_dir():
        rows["image"] = EmbeddingRows([partition.image_embeddings for partition in filled])
    if (folder / TEXT_FOLDER).is_dir():
        rows["text"] = EmbeddingRows([partition.text_embeddings for partition in filled])
    if not rows:
        raise FolderError(f"{folder} holds no embeddings: `clipworks embed` writes such folders")
    for modality, arrays in rows.items():
        _check_in_step(folder, modality, arrays.sizes, sizes)
    return FolderContents(manifest, metadata, rows)


def read_rows(folder: Path, modality: Modality, metadata: MetadataTable) -> EmbeddingRows | None:
    """Open the embeddings of an indexed folder; None where only the index is left of them.

    Raises:
        FolderError: a file is damaged, or does not have the rows that the metadata have.
    """
    parts = [part for part in existing_partitions(folder)]
    files = [
        part.image_embeddings if modality == "image" else part.text_embeddings
        for part, size in zip(parts, metadata.file_sizes, strict=True)
        if size
    ]
    if not files or not all(path.is_file() for path in files):
        return None
    rows = EmbeddingRows(files)
    _check_in_step(folder, modality, rows.sizes, [size for size in metadata.file_sizes if size])
    return rows


def _check_complete(folder: Path, manifest: Manifest) -> None:
    missing = missing_partitions(folder, manifest)
    if missing:
        raise FolderError(
            f"{folder} is not finished: {len(missing)} of {manifest.num_partitions} partitions "
            f"are missing: finish with: {_finishing_command(folder, manifest)}"
        )


def _finishing_command(folder: Path, manifest: Manifest) -> str:
    """The line that goes on with the folder: a run with other settings would be refused."""
    command = ["clipworks", "embed", manifest.source, "--out", str(folder)]
    command += ["--model", manifest.model]
    for name, value in manifest.settings.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(command)


def _check_in_step(folder: Path, modality: str, arrays: list[int], tables: list[int]) -> None:
    for number, (array, table) in enumerate(zip(arrays, tables, strict=True)):
        if array != table:
            raise FolderError(
                f"{folder}: the {modality} embeddings have {array} rows and the metadata {table} "
                f"in part {number + 1} of {len(tables)}: embed again into a new folder"
            )
