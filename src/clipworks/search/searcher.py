"""Queries in words or pictures to hits.

Axes: query, hit, dim (width of the joint space).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np
from jaxtyping import Float32

from clipworks.data.embedding_folder import CAPTION_COLUMN, IMAGE_PATH_COLUMN, read_manifest
from clipworks.encoders.embedder import Embedder
from clipworks.errors import InvalidTextError, ModelMismatchError
from clipworks.search.folder_contents import Modality
from clipworks.search.index import AbstractIndex
from clipworks.search.index_folder import open_index
from clipworks.search.metadata import MetadataTable

if TYPE_CHECKING:
    from clipworks.encoders.embedder import ImageLike


@dataclass(frozen=True)
class Hit:
    """One result.

    Attributes:
        rank: from 1, best first.
        similarity: cosine between query and sample.
        id: the sample's row in the folder.
        image_path: as the folder has it; the file may be gone by now. None without pictures.
        caption: None where the folder has none.
        metadata: the folder's further columns.
    """

    rank: int
    similarity: float
    id: int
    image_path: str | None
    caption: str | None
    metadata: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain values that JSON takes."""
        return {
            "rank": self.rank,
            "similarity": round(self.similarity, 6),
            "id": self.id,
            "image_path": self.image_path,
            "caption": self.caption,
            "metadata": {name: _plain(value) for name, value in self.metadata.items()},
        }


@dataclass(frozen=True)
class RecordedModel:
    """The model that a folder says it was made by."""

    name: str
    fingerprint: str


@final
class Searcher:
    """An embedding folder and the model that made it, ready to answer."""

    def __init__(self, index: AbstractIndex, metadata: MetadataTable, embedder: Embedder) -> None:
        self.index = index
        self.metadata = metadata
        self.embedder = embedder

    @classmethod
    def open(cls, folder: Path, embedder: Embedder, *, modality: Modality = "image") -> Self:
        """Open an embedding folder: with its index, or without one to compare with every row.

        Args:
            folder: that `clipworks embed`, or clip-retrieval, wrote.
            embedder: the model that made it.
            modality: whether to look among the pictures or among the texts.

        Raises:
            FolderError: the folder or its index is missing, unfinished, damaged or out of date.
            ModelMismatchError: another model made the folder.
        """
        _check_model(folder, recorded_model(folder), embedder)
        if manifest := read_manifest(folder):
            embedder = embedder.shortened(manifest.settings.get("dim", 0))
        opened = open_index(folder, modality)
        if opened.index.size and opened.index.embedding_dim != embedder.embedding_dim:
            raise ModelMismatchError(
                f"{folder} holds embeddings of {opened.index.embedding_dim} numbers, and "
                f"{embedder.card.name} makes {embedder.embedding_dim}: give the model that made it"
            )
        return cls(opened.index, opened.metadata, embedder)

    def search_text(self, query: str, k: int = 10) -> list[Hit]:
        """Find what a text describes.

        Raises:
            InvalidTextError: the text is blank.
            SettingsError: k is below 1.
        """
        if not query.strip():
            raise InvalidTextError("the query is blank: write what to look for")
        return self.search_embedding(self.embedder.embed_texts([query])[0], k)

    def search_image(self, query: ImageLike, k: int = 10) -> list[Hit]:
        """Find what resembles a picture.

        Raises:
            InvalidImageError: the picture cannot be read.
            SettingsError: k is below 1.
        """
        return self.search_embedding(self.embedder.embed_images([query])[0], k)

    def search_embedding(self, query: Float32[np.ndarray, "dim"], k: int = 10) -> list[Hit]:
        """Find what is nearest to an embedding that this searcher's model made.

        Raises:
            InputError: the embedding has another shape or type.
            SettingsError: k is below 1.
        """
        ids, similarities = self.index.search(query[None, :], k)
        found = [
            (int(row), float(similarity))
            for row, similarity in zip(ids[0], similarities[0], strict=True)
            if row >= 0
        ]
        records = self.metadata.rows([row for row, _ in found])
        return [
            _hit(rank, row, similarity, record)
            for rank, ((row, similarity), record) in enumerate(zip(found, records, strict=True), 1)
        ]


def recorded_model(folder: Path) -> RecordedModel | None:
    """Say which model made an embedding folder; None where it does not say.

    Raises:
        FolderError: the folder is missing, or its manifest is damaged.
    """
    manifest = read_manifest(folder)
    return RecordedModel(manifest.model, manifest.fingerprint) if manifest else None


def _check_model(folder: Path, recorded: RecordedModel | None, embedder: Embedder) -> None:
    if recorded and recorded.fingerprint != embedder.fingerprint:
        raise ModelMismatchError(
            f"{folder} was made with {recorded.name} (fingerprint {recorded.fingerprint}), and the "
            f"query comes from {embedder.card.name} (fingerprint {embedder.fingerprint}): search "
            "with the model that made the folder, or embed it again"
        )


def _hit(rank: int, row: int, similarity: float, record: dict[str, Any]) -> Hit:
    path, caption = record.pop(IMAGE_PATH_COLUMN, None), record.pop(CAPTION_COLUMN, None)
    return Hit(
        rank=rank,
        similarity=similarity,
        id=row,
        image_path=None if path is None else str(path),
        caption=None if caption is None else str(caption),
        metadata=record,
    )


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a parquet column holds
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return str(value)
