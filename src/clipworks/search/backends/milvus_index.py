"""Milvus: rows on a server, for folders that are larger than one machine, or that many ask.

The index file is a small JSON object that names the server and the collection; rows are found by
their numbers, which are the collection's primary keys.

Axes: row (of the index), query, hit, dim (width of the joint space).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, final

import numpy as np

from clipworks.arrays import Embeddings
from clipworks.errors import FolderError, ServerError, SettingsError
from clipworks.extras import require
from clipworks.files import write_json_atomic
from clipworks.search.embedding_rows import EmbeddingRows
from clipworks.search.index import DEFAULT_SETTINGS, AbstractStoredIndex, Allowed, Report
from clipworks.search.index_settings import IndexSettings
from clipworks.search.matches import Matches, in_blocks, nearest_among, no_matches

pymilvus: Any = require("pymilvus", "an index in Milvus")

_FORMAT_VERSION = 1
_ID, _ROW = "id", "embedding"
_INSERTED_ROWS = 2048  # at a time: a message may have 64 MB
_READ_ROWS = 8192
_MAX_HITS = 16_384  # of one search: Milvus gives no more
_COMPARED_ROWS = 1024  # are read and compared, which costs less than a filter that lists them
_TIMEOUT_S = 30.0
_CONNECTING_S = 5.0


@final
class MilvusIndex(AbstractStoredIndex):
    """A collection on a Milvus server, or in a file of Milvus Lite.

    Args:
        server: `http://host:19530`, or the path of a Milvus Lite file (`.db`).
        collection: that holds the rows.
        size: how many rows it has.
        embedding_dim: width of the joint space.
    """

    def __init__(self, server: str, collection: str, size: int, embedding_dim: int) -> None:
        self._server = server
        self._collection = collection
        self._size = size
        self._dim = embedding_dim
        self._client = _connect(server)

    @property
    def kind(self) -> str:
        """How the rows are kept: as the server thinks best."""
        return "Milvus"

    @property
    def size(self) -> int:
        """How many rows there are."""
        return self._size

    @property
    def embedding_dim(self) -> int:
        """Width of the joint space."""
        return self._dim

    @classmethod
    def build(
        cls,
        rows: EmbeddingRows,
        settings: IndexSettings = DEFAULT_SETTINGS,
        report: Report | None = None,
    ) -> Self:
        """Insert all rows into a new collection.

        Raises:
            SettingsError: no server is given.
            ServerError: it is away, or refuses.
        """
        if not settings.server:
            raise SettingsError(
                "the backend milvus needs a server: --server http://host:19530, or a file "
                "(rows.db) for Milvus Lite"
            )
        collection = f"clipworks_{secrets.token_hex(8)}"
        index = cls(settings.server, collection, rows.size, max(1, rows.embedding_dim))
        try:
            with _explaining_errors(settings.server):
                index._create()
                index._insert(rows, report)
        except BaseException:
            index.discard()
            raise
        return index

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read which collection a folder's rows are in, and reach for it.

        Raises:
            FolderError: the file is missing, damaged or not ours, or the collection is gone.
            ServerError: the server is away.
        """
        try:
            fields = json.loads(path.read_text("utf-8"))
            assert fields["format_version"] == _FORMAT_VERSION
            place = fields["server"], fields["collection"], fields["rows"], fields["dim"]
        except FileNotFoundError as error:
            raise FolderError(f"{path} is missing") from error
        except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
            raise FolderError(f"{path} is damaged, or names no collection: index again") from error
        index = cls(*place)
        with _explaining_errors(place[0]):
            if not index._client.has_collection(place[1]):
                raise FolderError(
                    f"{path}: the collection {place[1]} is gone from {place[0]}: index again"
                )
        return index

    def save(self, path: Path) -> None:
        """Write where the rows are."""
        place = {"server": self._server, "collection": self._collection}
        size = {"rows": self._size, "dim": self._dim}
        write_json_atomic(path, {"format_version": _FORMAT_VERSION, **place, **size})

    @property
    def max_effort(self) -> int:
        """The server chooses."""
        return 1

    def set_effort(self, effort: int) -> None:
        """Do nothing: the server chooses."""

    def grown(self, rows: EmbeddingRows) -> Self | None:
        """Say that a new collection is to be made, so that a kill leaves the old one whole."""
        return None

    def thinned(self, kept: Allowed) -> Self | None:
        """Say that a new collection is to be made, since all rows get new numbers."""
        return None

    def discard(self) -> None:
        """Drop the collection."""
        with _explaining_errors(self._server):
            self._client.drop_collection(self._collection)

    def _create(self) -> None:
        schema = self._client.create_schema(auto_id=False)
        schema.add_field(_ID, pymilvus.DataType.INT64, is_primary=True)
        schema.add_field(_ROW, pymilvus.DataType.FLOAT_VECTOR, dim=self._dim)
        index = self._client.prepare_index_params()
        index.add_index(_ROW, index_type="AUTOINDEX", metric_type="IP")
        self._client.create_collection(
            self._collection, schema=schema, index_params=index, consistency_level="Strong"
        )

    def _insert(self, rows: EmbeddingRows, report: Report | None) -> None:
        start = 0
        for block in rows.blocks():
            for first in range(0, len(block), _INSERTED_ROWS):
                part = block[first : first + _INSERTED_ROWS]
                records = [{_ID: start + n, _ROW: row} for n, row in enumerate(part)]
                self._client.insert(self._collection, records, timeout=_TIMEOUT_S)
                start += len(part)
                if report:
                    report(start, rows.size)
        self._client.flush(self._collection)
        self._client.load_collection(self._collection)

    def _nearest(self, queries: Embeddings, k: int, allowed: Allowed | None) -> Matches:
        count = self._size if allowed is None else int(np.count_nonzero(allowed))
        if k > _MAX_HITS or (allowed is not None and count <= _COMPARED_ROWS):
            chosen = np.arange(self._size) if allowed is None else np.flatnonzero(allowed)
            return nearest_among(queries, k, in_blocks(chosen, _READ_ROWS, self._rows_at))
        with _explaining_errors(self._server):
            hits = self._client.search(
                self._collection,
                data=list(queries),
                limit=k,
                filter="" if allowed is None else _within(allowed),
                search_params={"metric_type": "IP"},
                timeout=_TIMEOUT_S,
            )
        found = no_matches(len(queries), k)
        for number, each in enumerate(hits):
            found.ids[number, : len(each)] = [hit[_ID] for hit in each]
            found.similarities[number, : len(each)] = [hit["distance"] for hit in each]
        return found

    def _rows_at(self, ids: np.ndarray) -> Embeddings:
        wanted, places = np.unique(ids, return_inverse=True)
        rows = np.empty((len(wanted), self._dim), np.float32)
        for start in range(0, len(wanted), _READ_ROWS):
            part = wanted[start : start + _READ_ROWS]
            with _explaining_errors(self._server):
                records = self._client.get(self._collection, ids=part.tolist(), timeout=_TIMEOUT_S)
            if len(records) != len(part):
                raise ServerError(
                    f"{self._server} has lost rows of {self._collection}: index the folder again"
                )
            for record in records:
                rows[np.searchsorted(wanted, record[_ID])] = record[_ROW]
        return rows[places]


def _within(allowed: Allowed) -> str:
    """A filter that lists the allowed rows, or the others where these are fewer."""
    few, word = (allowed, "in") if allowed.mean() <= 0.5 else (~allowed, "not in")
    return f"{_ID} {word} {np.flatnonzero(few).tolist()}" if few.any() else ""


def _connect(server: str) -> Any:  # noqa: ANN401
    with _explaining_errors(server):
        return pymilvus.MilvusClient(server, timeout=_CONNECTING_S)


@contextmanager
def _explaining_errors(server: str) -> Iterator[None]:
    try:
        yield
    except (pymilvus.MilvusException, OSError) as error:
        reason = getattr(error, "message", "") or str(error)
        raise ServerError(
            f"{server} does not answer as a Milvus server: {reason.strip().splitlines()[0]}"
        ) from error
