"""The one interface of vector search: rows go in once, the nearest ones come out.

Axes: row (of the index), query, hit (best first), dim (width of the joint space).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
from jaxtyping import Bool, Int64

from clipworks.arrays import Embeddings
from clipworks.errors import InputError, SettingsError
from clipworks.registry import Registry
from clipworks.search.embedding_rows import EmbeddingRows
from clipworks.search.index_settings import IndexSettings
from clipworks.search.matches import Matches, no_matches

INDEXES = Registry(
    "index backend",
    {
        "exact": "clipworks.search.backends.exact_index:ExactIndex",
        "faiss": "clipworks.search.backends.faiss_index:FaissIndex",
        "milvus": "clipworks.search.backends.milvus_index:MilvusIndex",
    },
)

DEFAULT_SETTINGS = IndexSettings()

Report = Callable[[int, int], None]
"""Is called with the rows done and the rows in all."""


Allowed = Bool[np.ndarray, "row"]
"""A bit for each row of an index: whether it may be found."""


class AbstractIndex(ABC):
    """Unit rows, numbered from 0, that answer which of them are nearest to a query.

    An index is safe to search from several threads at a time.
    """

    @property
    @abstractmethod
    def kind(self) -> str:
        """How the rows are kept, for people: "IVF1024 SQ8"."""

    @property
    @abstractmethod
    def size(self) -> int:
        """How many rows there are."""

    @property
    @abstractmethod
    def embedding_dim(self) -> int:
        """Width of the joint space."""

    @abstractmethod
    def _nearest(self, queries: Embeddings, k: int, allowed: Allowed | None) -> Matches:
        """Search with arguments that are in order: 1 <= k <= size; some row is allowed."""

    @abstractmethod
    def _rows_at(self, ids: Int64[np.ndarray, "row"]) -> Embeddings:
        """Give rows by ids that are in range."""

    def search(self, queries: Embeddings, k: int, *, allowed: Allowed | None = None) -> Matches:
        """Find the rows whose inner product with each query is highest.

        Args:
            queries: float32 unit rows [query dim].
            k: how many; where the index has fewer rows, all of them come.
            allowed: look only among the rows whose bit is set; None for all of them. Where fewer
                than k are allowed, the further ids are -1.

        Raises:
            InputError: the queries or `allowed` have another shape or type than the index takes.
            SettingsError: k is below 1.
        """
        if k < 1:
            raise SettingsError(f"number of results {k}: expected at least 1")
        if queries.ndim != 2 or queries.dtype != np.float32:
            raise InputError(
                f"queries: expected float32 [query, dim], got {queries.dtype} {list(queries.shape)}"
            )
        if allowed is not None and (allowed.dtype != np.bool_ or allowed.shape != (self.size,)):
            raise InputError(
                f"allowed rows: expected bool [{self.size}], got {allowed.dtype} "
                f"{list(allowed.shape)}"
            )
        k = min(k, self.size)
        if not len(queries) or not self.size:
            return no_matches(len(queries), k)
        if queries.shape[1] != self.embedding_dim:
            raise InputError(
                f"queries: the index holds rows of {self.embedding_dim} numbers, "
                f"got queries of {queries.shape[1]}"
            )
        if allowed is not None and not allowed.any():
            return no_matches(len(queries), k)
        return self._nearest(np.ascontiguousarray(queries), k, allowed)

    def reconstruct(self, ids: Int64[np.ndarray, "row"]) -> Embeddings:
        """Give rows as the index keeps them: rounded, where it keeps codes.

        Args:
            ids: row numbers, in any order; a row asked for twice comes twice.

        Raises:
            InputError: an id is none of the index's.
        """
        wanted = np.asarray(ids, np.int64).reshape(-1)
        if wanted.size and not 0 <= wanted.min() <= wanted.max() < self.size:
            raise InputError(
                f"row ids from {wanted.min()} to {wanted.max()}: the index has 0 to {self.size - 1}"
            )
        if not wanted.size:
            return np.zeros((0, self.embedding_dim), np.float32)
        return self._rows_at(wanted)


class AbstractOverlay(AbstractIndex):
    """Another index's rows under the same numbers, searched in a further way.

    Args:
        index: that lies beneath.
    """

    def __init__(self, index: AbstractIndex) -> None:
        self._index = index

    @property
    def kind(self) -> str:
        """How the rows are kept."""
        return self._index.kind

    @property
    def size(self) -> int:
        """How many rows lie beneath: ids go up to here."""
        return self._index.size

    @property
    def embedding_dim(self) -> int:
        """Width of the joint space."""
        return self._index.embedding_dim


class AbstractStoredIndex(AbstractIndex):
    """An index that is built, and lies in a file or on a server."""

    @classmethod
    @abstractmethod
    def build(
        cls,
        rows: EmbeddingRows,
        settings: IndexSettings = DEFAULT_SETTINGS,
        report: Report | None = None,
    ) -> Self:
        """Take in the rows of an embedding folder."""

    @classmethod
    @abstractmethod
    def open(cls, path: Path) -> Self:
        """Read what `save` wrote, memory-mapped.

        Raises:
            FolderError: the file is missing, damaged, or of another kind.
        """

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write the index, whole or not at all."""

    @abstractmethod
    def discard(self) -> None:
        """Give up what it keeps elsewhere than in its file, which another one has replaced."""

    @property
    @abstractmethod
    def max_effort(self) -> int:
        """The most lists or nodes that a search may look at; 1 where there is no choice."""

    @abstractmethod
    def set_effort(self, effort: int) -> None:
        """Say how many lists or nodes a search looks at; `save` keeps it."""

    @abstractmethod
    def grown(self, rows: EmbeddingRows) -> Self | None:
        """A copy with further rows at its end; None where it is better built anew."""

    @abstractmethod
    def thinned(self, kept: Allowed) -> Self | None:
        """A copy with the kept rows only, renumbered; None where it is better built anew."""
