"""FAISS: flat float16 for small folders, inverted lists of 8-bit codes for large ones.

Axes: row (of the index), query, hit, dim (width of the joint space).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Self, final

import faiss

from clipworks.arrays import Embeddings
from clipworks.errors import FolderError
from clipworks.files import atomic_path
from clipworks.search.embedding_rows import EmbeddingRows
from clipworks.search.index import AbstractIndex, Matches, Report

# Up to here comparing with every row takes some milliseconds on a few cores, and is exact.
MAX_FLAT_ROWS = 200_000
_TRAINING_ROWS_PER_LIST = 64
_LISTS_PROBED = 32
_NODES_VISITED = 128
_POPULATED = "populated.index"


@final
class FaissIndex(AbstractIndex):
    """An inner product index of FAISS, one that clipworks built or clipworks merely reads."""

    def __init__(self, index: Any) -> None:  # noqa: ANN401 - FAISS comes without types
        self._index = index

    @property
    def kind(self) -> str:
        """How the rows are kept."""
        if isinstance(self._index, faiss.IndexScalarQuantizer):
            return "flat fp16"
        if isinstance(self._index, faiss.IndexIVFScalarQuantizer):
            return f"IVF{self._index.nlist} SQ8"
        return type(self._index).__name__

    @property
    def size(self) -> int:
        """How many rows there are."""
        return self._index.ntotal

    @property
    def embedding_dim(self) -> int:
        """Width of the joint space."""
        return self._index.d

    @classmethod
    def build(cls, rows: EmbeddingRows, report: Report | None = None) -> Self:
        """Take in all rows: flat up to MAX_FLAT_ROWS, inverted lists above."""
        index = _flat(rows) if rows.size <= MAX_FLAT_ROWS else _trained_lists(rows)
        for block in rows.blocks():
            index.add(block)
            if report:
                report(index.ntotal, rows.size)
        return cls(index)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read an index, memory-mapped.

        Raises:
            FolderError: the file is missing, damaged, or compares by another measure.
        """
        flags = faiss.IO_FLAG_READ_ONLY | faiss.IO_FLAG_MMAP_IFC
        if path.is_dir():  # clip-retrieval's form for indexes larger than memory
            path, flags = path / _POPULATED, faiss.IO_FLAG_READ_ONLY | faiss.IO_FLAG_ONDISK_SAME_DIR
        if not path.is_file():
            raise FolderError(f"{path} is missing")
        try:
            index = faiss.read_index(str(path), flags)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise FolderError(f"{path} is damaged, or not for this FAISS: {reason}") from error
        if index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise FolderError(f"{path} compares by distance, not by inner product: index again")
        return cls(index)

    def save(self, path: Path) -> None:
        """Write the index to one file, whole or not at all."""
        with atomic_path(path) as temporary:
            faiss.write_index(self._index, str(temporary))

    def _nearest(self, queries: Embeddings, k: int) -> Matches:
        found = self._search(queries, k, effort=1)
        if (found.ids < 0).any():  # fewer than k rows lay where an approximate search looked
            found = self._search(queries, k, effort=self.size)
        return found

    def _search(self, queries: Embeddings, k: int, *, effort: int) -> Matches:
        parameters = _search_parameters(self._index, k, effort)
        similarities, ids = self._index.search(queries, k, params=parameters)
        return Matches(ids, similarities)


def _flat(rows: EmbeddingRows) -> Any:  # noqa: ANN401
    half = faiss.ScalarQuantizer.QT_fp16
    return faiss.IndexScalarQuantizer(rows.embedding_dim, half, faiss.METRIC_INNER_PRODUCT)


def _trained_lists(rows: EmbeddingRows) -> Any:  # noqa: ANN401
    dim = rows.embedding_dim
    lists = 2 ** round(math.log2(2 * math.sqrt(rows.size)))
    centres = faiss.IndexFlatIP(dim)
    codes = faiss.ScalarQuantizer.QT_8bit
    index = faiss.IndexIVFScalarQuantizer(centres, dim, lists, codes, faiss.METRIC_INNER_PRODUCT)
    index.train(rows.sample(lists * _TRAINING_ROWS_PER_LIST))
    index.nprobe = min(lists, _LISTS_PROBED)
    return index


def _search_parameters(index: Any, k: int, effort: int) -> Any:  # noqa: ANN401
    """How hard to look; given with each query, so that threads do not meet in the index."""
    if isinstance(index, faiss.IndexIVF):
        parameters = faiss.SearchParametersIVF()
        parameters.nprobe = min(index.nlist, index.nprobe * effort)
        return parameters
    if isinstance(index, faiss.IndexHNSW):
        parameters = faiss.SearchParametersHNSW()  # pyright: ignore[reportAttributeAccessIssue]
        parameters.efSearch = max(_NODES_VISITED, k, min(effort, index.ntotal))
        return parameters
    return None
