"""The one interface of vector search: rows go in once, the nearest ones come out.

Axes: row (of the index), query, hit (best first), dim (width of the joint space).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Float32, Int64

from clipworks.arrays import Embeddings
from clipworks.errors import InputError, SettingsError
from clipworks.registry import Registry
from clipworks.search.embedding_rows import EmbeddingRows

INDEXES = Registry(
    "index backend",
    {
        "exact": "clipworks.search.backends.exact_index:ExactIndex",
        "faiss": "clipworks.search.backends.faiss_index:FaissIndex",
    },
)

Report = Callable[[int, int], None]
"""Is called with the rows done and the rows in all."""


class Matches(NamedTuple):
    """What an index found.

    Attributes:
        ids: row numbers [query hit]; -1 where an approximate index found fewer.
        similarities: inner products [query hit], falling along a row.
    """

    ids: Int64[np.ndarray, "query hit"]
    similarities: Float32[np.ndarray, "query hit"]


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

    @classmethod
    @abstractmethod
    def build(cls, rows: EmbeddingRows, report: Report | None = None) -> Self:
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
        """Write the index to one file, whole or not at all."""

    @abstractmethod
    def _nearest(self, queries: Embeddings, k: int) -> Matches:
        """Search with arguments that are in order: 1 <= k <= size."""

    def search(self, queries: Embeddings, k: int) -> Matches:
        """Find the rows whose inner product with each query is highest.

        Args:
            queries: float32 unit rows [query dim].
            k: how many; where the index has fewer rows, all of them come.

        Raises:
            InputError: the queries have another shape or type than the index takes.
            SettingsError: k is below 1.
        """
        if k < 1:
            raise SettingsError(f"number of results {k}: expected at least 1")
        if queries.ndim != 2 or queries.dtype != np.float32:
            raise InputError(
                f"queries: expected float32 [query, dim], got {queries.dtype} {list(queries.shape)}"
            )
        if not len(queries) or not self.size:
            empty = (len(queries), min(k, self.size))
            return Matches(np.zeros(empty, np.int64), np.zeros(empty, np.float32))
        if queries.shape[1] != self.embedding_dim:
            raise InputError(
                f"queries: the index holds rows of {self.embedding_dim} numbers, "
                f"got queries of {queries.shape[1]}"
            )
        return self._nearest(np.ascontiguousarray(queries), min(k, self.size))
