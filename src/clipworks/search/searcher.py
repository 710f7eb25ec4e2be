"""Queries in words or pictures to hits.

Axes: query, hit, dim (width of the joint space).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np
from jaxtyping import Float32

from clipworks.arrays import Embeddings
from clipworks.data.embedding_folder import read_manifest
from clipworks.encoders.computed_precision import find_precision
from clipworks.encoders.embedder import Embedder
from clipworks.encoders.loading import DEFAULT_MODEL, find_bundle, load
from clipworks.errors import ModelMismatchError, SettingsError
from clipworks.search.embedding_rows import EmbeddingRows, draw_rows
from clipworks.search.folder_contents import Modality, read_rows
from clipworks.search.hits import Hit, sample_names
from clipworks.search.index import AbstractIndex, Allowed
from clipworks.search.index_folder import open_index
from clipworks.search.metadata import MetadataTable
from clipworks.search.metadata_filter import allowed_rows
from clipworks.search.query import Query
from clipworks.search.ranking import rank_rows
from clipworks.search.relevance import MIN_ROWS, SAMPLE_ROWS, Relevance, embedded_words
from clipworks.search.search_options import SearchOptions
from clipworks.search.sifting import Judge, Sifted, sift

if TYPE_CHECKING:
    from clipworks.encoders.embedder import ImageLike

_PLAIN = SearchOptions()


@dataclass(frozen=True)
class RecordedModel:
    """The model that a folder says it was made by."""

    name: str
    fingerprint: str


@final
class Searcher:
    """An embedding folder and the model that made it, ready to answer.

    Args:
        index: of one modality.
        metadata: row r of it belongs to row r of the index.
        embedder: the model that made the folder.
        modality: what the index holds.
        rows: the embeddings as they lie in the folder; without them the index gives its own,
            which may be rounded.
    """

    def __init__(
        self,
        index: AbstractIndex,
        metadata: MetadataTable,
        embedder: Embedder,
        *,
        modality: Modality = "image",
        rows: EmbeddingRows | None = None,
    ) -> None:
        self.index = index
        self.metadata = metadata
        self.embedder = embedder
        self.modality = modality
        self._rows = rows
        self._last_condition: tuple[str, Allowed | None] = ("", None)

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
        embedder = fit_model(folder, embedder)
        opened = open_index(folder, modality)
        if opened.index.size:
            check_dim(folder, opened.index.embedding_dim, embedder)
        rows = read_rows(folder, modality, opened.metadata)
        return cls(opened.index, opened.metadata, embedder, modality=modality, rows=rows)

    def search(
        self,
        query: Query | str,
        k: int = 10,
        *,
        offset: int = 0,
        options: SearchOptions = _PLAIN,
    ) -> list[Hit]:
        """Find what fits a query best.

        Pages that are asked for by growing offsets neither repeat nor drop a hit.

        Args:
            query: a text, or a sum of texts, pictures and embeddings.
            k: how many hits; fewer come where there are no more.
            offset: how many of the best to pass over.
            options: what to leave out, and what else to say.

        Raises:
            InputError: the query or an option cannot be used.
        """
        if k < 1:
            raise SettingsError(f"number of results {k}: expected at least 1")
        if offset < 0:
            raise SettingsError(f"offset {offset}: expected 0 or more")
        rows = _one_by_one(self._sift(query, options))
        return self._hits(list(islice(rows, offset, offset + k)), offset + 1, options)

    def pages(
        self, query: Query | str, page_size: int = 50, *, options: SearchOptions = _PLAIN
    ) -> Iterator[list[Hit]]:
        """Go through all hits, page by page, until there are none left.

        Raises:
            InputError: as `search` says.
        """
        if page_size < 1:
            raise SettingsError(f"page size {page_size}: expected at least 1")
        return self._pages(_one_by_one(self._sift(query, options)), page_size, options)

    def search_text(self, query: str, k: int = 10) -> list[Hit]:
        """Find what a text describes.

        Raises:
            InvalidTextError: the text is blank.
            SettingsError: k is below 1.
        """
        return self.search(Query.text(query), k)

    def search_image(self, query: ImageLike, k: int = 10) -> list[Hit]:
        """Find what resembles a picture.

        Raises:
            InvalidImageError: the picture cannot be read.
            SettingsError: k is below 1.
        """
        return self.search(Query.image(query), k)

    def search_embedding(self, query: Float32[np.ndarray, "dim"], k: int = 10) -> list[Hit]:
        """Find what is nearest to an embedding that this searcher's model made.

        Raises:
            InputError: the embedding has another shape, or is no direction.
            SettingsError: k is below 1.
        """
        return self.search(Query.embedding(query), k)

    def vectors(self, ids: np.ndarray) -> Embeddings:
        """Give rows' embeddings: the folder's own, or else as the index keeps them."""
        if self._rows is not None:
            return self._rows.take(ids)
        return self.index.reconstruct(ids)

    def allowed_rows(self, condition: str) -> Allowed | None:
        """Say which rows a condition allows; None for an empty one. The last one is kept.

        Raises:
            SettingsError: it is no condition over the folder's columns.
        """
        if not condition:
            return None
        if self._last_condition[0] != condition:
            self._last_condition = (condition, allowed_rows(self.metadata, condition))
        return self._last_condition[1]

    @cached_property
    def relevance(self) -> Relevance:
        """What tells answers from the rest, by the folder's rows and the model's words."""
        ids = draw_rows(self.index.size, SAMPLE_ROWS)
        return Relevance(self.vectors(ids), embedded_words(self.embedder), self.index.size)

    def _sift(self, query: Query | str, options: SearchOptions) -> Iterator[Sifted]:
        for limit in options.heads:
            card = self.embedder.card
            limit.head.check_takes(
                self.embedder.embedding_dim, model=card.name, fingerprint=card.fingerprint
            )
        query = Query.text(query) if isinstance(query, str) else query
        vector = query.embed(self.embedder)
        if options.aesthetic is not None:
            vector = options.aesthetic.add_to(vector)
        allowed = self.allowed_rows(options.where)
        pieces = rank_rows(self.index, vector, allowed)
        return sift(pieces, options, take=self.vectors, judge=self._judge(query, vector))

    def can_judge(self, query: Query) -> bool:
        """Whether hits of a query can have probabilities: texts that look for enough pictures."""
        return query.is_text and self.modality == "image" and self.index.size >= MIN_ROWS

    def _judge(self, query: Query, vector: Float32[np.ndarray, "dim"]) -> Judge | None:
        if not self.can_judge(query):
            return None
        return lambda rows: self.relevance.judge(vector, rows)

    def _pages(
        self, rows: Iterator[_Row], page_size: int, options: SearchOptions
    ) -> Iterator[list[Hit]]:
        first_rank = 1
        while page := list(islice(rows, page_size)):
            yield self._hits(page, first_rank, options)
            first_rank += len(page)

    def _hits(self, rows: list[_Row], first_rank: int, options: SearchOptions) -> list[Hit]:
        records = self.metadata.rows([int(found.piece.ids[place]) for found, place in rows])
        return [
            _hit(first_rank + n, found, place, record, with_embedding=options.embeddings)
            for n, ((found, place), record) in enumerate(zip(rows, records, strict=True))
        ]


_Row = tuple[Sifted, int]


def open_searcher(
    folder: str | Path,
    model: str | Path | Embedder | None = None,
    *,
    modality: Modality = "image",
) -> Searcher:
    """Open an embedding folder with the model that made it.

    Args:
        folder: that `clipworks embed`, or clip-retrieval, wrote.
        model: a name, a bundle's folder, or an embedder; by default what the folder says.
        modality: whether to look among the pictures or among the texts.

    Raises:
        FolderError: the folder or its index is missing, unfinished, damaged or out of date.
        ModelMismatchError: another model made the folder.
        UnknownModelError: the model is not on this machine.
    """
    folder = Path(folder)
    if isinstance(model, Embedder):
        return Searcher.open(folder, model, modality=modality)
    recorded = recorded_model(folder)
    bundle = find_bundle(model or (recorded.name if recorded else DEFAULT_MODEL))
    precision = find_precision(bundle.card, recorded.fingerprint) if recorded else None
    return Searcher.open(folder, load(bundle, precision=precision), modality=modality)


def recorded_model(folder: Path) -> RecordedModel | None:
    """Say which model made an embedding folder; None where it does not say.

    Raises:
        FolderError: the folder is missing, or its manifest is damaged.
    """
    manifest = read_manifest(folder)
    return RecordedModel(manifest.model, manifest.fingerprint) if manifest else None


def fit_model(folder: Path, embedder: Embedder) -> Embedder:
    """The model that made a folder, with vectors as short as the folder's (`embed --dim`).

    Raises:
        ModelMismatchError: the folder says that another one made it.
    """
    _check_fingerprint(folder, recorded_model(folder), embedder)
    manifest = read_manifest(folder)
    return embedder.shortened(manifest.settings.get("dim", 0)) if manifest else embedder


def check_dim(folder: Path, embedding_dim: int, embedder: Embedder) -> None:
    """Refuse a model whose vectors are of another width than a folder's.

    Raises:
        ModelMismatchError: they are.
    """
    if embedding_dim != embedder.embedding_dim:
        raise ModelMismatchError(
            f"{folder} holds embeddings of {embedding_dim} numbers, and {embedder.card.name} makes "
            f"{embedder.embedding_dim}: give the model that made it (--model)"
        )


def _check_fingerprint(folder: Path, recorded: RecordedModel | None, embedder: Embedder) -> None:
    if recorded and recorded.fingerprint != embedder.fingerprint:
        raise ModelMismatchError(
            f"{folder} was made with {recorded.name} (fingerprint {recorded.fingerprint}), and the "
            f"query comes from {embedder.card.name} (fingerprint {embedder.fingerprint}): search "
            "with the model that made the folder, or embed it again"
        )


def _one_by_one(pieces: Iterable[Sifted]) -> Iterator[_Row]:
    for found in pieces:
        for place in range(found.size):
            yield found, place


def _hit(
    rank: int, found: Sifted, place: int, record: dict[str, Any], *, with_embedding: bool
) -> Hit:
    path, caption = sample_names(record)
    probability = None if found.probabilities is None else float(found.probabilities[place])
    return Hit(
        rank=rank,
        similarity=float(found.piece.similarities[place]),
        id=int(found.piece.ids[place]),
        image_path=path,
        caption=caption,
        metadata=record,
        probability=probability,
        scores={name: float(values[place]) for name, values in found.scores.items()},
        embedding=found.vectors[place] if with_embedding and found.vectors is not None else None,
    )
