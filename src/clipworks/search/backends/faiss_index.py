"""FAISS: flat float16 for small folders, inverted lists of 8-bit codes for large ones.

Axes: row (of the index), query, hit, dim (width of the joint space).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Self, final

import numpy as np

from clipworks.arrays import Embeddings
from clipworks.errors import FolderError
from clipworks.files import atomic_path
from clipworks.search.embedding_rows import BLOCK_ROWS, EmbeddingRows
from clipworks.search.faiss_binding import faiss
from clipworks.search.index import AbstractIndex, Allowed, Report
from clipworks.search.matches import Candidates, Matches, nearest_among

# Up to here comparing with every row takes some milliseconds on a few cores, and is exact.
MAX_FLAT_ROWS = 200_000
# Up to here reading the allowed rows and comparing is faster than a search within them.
MAX_COMPARED_ROWS = 4096
_TRAINING_ROWS_PER_LIST = 64
_LISTS_PROBED = 32
_NODES_VISITED = 128
_POPULATED = "populated.index"


@final
class FaissIndex(AbstractIndex):
    """An inner product index of FAISS, one that clipworks built or clipworks merely reads."""

    def __init__(self, index: Any) -> None:  # noqa: ANN401 - FAISS comes without types
        self._index = index
        self._finding_rows = Lock()
        self._places: np.ndarray | None = None

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

    def _nearest(self, queries: Embeddings, k: int, allowed: Allowed | None) -> Matches:
        if allowed is not None and self._is_better_compared(allowed):
            return nearest_among(queries, k, self._kept_rows(np.flatnonzero(allowed)))
        wanted = k if allowed is None else min(k, int(allowed.sum()))
        share = 1.0 if allowed is None else float(allowed.mean())
        found = self._search(queries, k, _Effort(1 / share, allowed))
        if (found.ids[:, :wanted] < 0).any():  # fewer rows lay where an approximate search looked
            found = self._search(queries, k, _Effort(self.size, allowed))
        return found

    def _search(self, queries: Embeddings, k: int, effort: _Effort) -> Matches:
        parameters = _search_parameters(self._index, k, effort)
        similarities, ids = self._index.search(queries, k, params=parameters)
        return Matches(ids, np.where(ids < 0, np.float32(-np.inf), similarities))

    def _is_better_compared(self, allowed: Allowed) -> bool:
        return int(allowed.sum()) <= MAX_COMPARED_ROWS or not _takes_selectors(self._index)

    def _kept_rows(self, ids: np.ndarray) -> Candidates:
        for start in range(0, len(ids), BLOCK_ROWS):
            chosen = ids[start : start + BLOCK_ROWS]
            yield chosen, self._rows_at(chosen)

    def _rows_at(self, ids: np.ndarray) -> Embeddings:
        with self._finding_rows:
            if self._places is None:
                self._places = _find_rows(self._index)
        keeper = self._index
        if isinstance(keeper, faiss.IndexIDMap):
            keeper = faiss.downcast_index(keeper.index)
        return keeper.reconstruct_batch(self._places[ids] if len(self._places) else ids)


@dataclass(frozen=True)
class _Effort:
    """How hard an approximate search looks.

    Attributes:
        factor: how many times as many lists or nodes as the index says.
        allowed: the rows that may be found; None for all.
    """

    factor: float
    allowed: Allowed | None


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


def _search_parameters(index: Any, k: int, effort: _Effort) -> Any:  # noqa: ANN401
    """How to look; given with each query, so that threads do not meet in the index."""
    if isinstance(index, faiss.IndexIDMap):
        return _search_parameters(faiss.downcast_index(index.index), k, effort)
    if isinstance(index, faiss.IndexPreTransform):
        inner = _search_parameters(faiss.downcast_index(index.index), k, effort)
        return faiss.SearchParametersPreTransform(index_params=inner) if inner else None
    if isinstance(index, faiss.IndexRefine):
        base = faiss.downcast_index(index.base_index)
        inner = _search_parameters(base, math.ceil(k * index.k_factor), effort)
        return faiss.IndexRefineSearchParameters(k_factor=index.k_factor, base_index_params=inner)
    chosen: dict[str, Any] = {}
    if effort.allowed is not None:
        bits = np.packbits(effort.allowed, bitorder="little")
        chosen["sel"] = faiss.IDSelectorBitmap(bits)
    if isinstance(index, faiss.IndexIVF):
        chosen["nprobe"] = min(index.nlist, math.ceil(index.nprobe * effort.factor))
        return faiss.SearchParametersIVF(**chosen)
    if isinstance(index, faiss.IndexHNSW):
        nodes = max(_NODES_VISITED, index.hnsw.efSearch, k) * effort.factor
        chosen["efSearch"] = math.ceil(min(nodes, max(index.ntotal, k)))
        return faiss.SearchParametersHNSW(**chosen)
    return faiss.SearchParameters(**chosen) if chosen else None


def _takes_selectors(index: Any) -> bool:  # noqa: ANN401
    """Whether FAISS can search this index within some rows: not all kinds can."""
    if isinstance(index, faiss.IndexIDMap | faiss.IndexPreTransform):
        return _takes_selectors(faiss.downcast_index(index.index))
    if isinstance(index, faiss.IndexRefine):
        return _takes_selectors(faiss.downcast_index(index.base_index))
    if isinstance(index, faiss.IndexIVF):
        return not isinstance(index, faiss.IndexIVFFastScan)
    return isinstance(index, faiss.IndexHNSW | faiss.IndexFlat | faiss.IndexScalarQuantizer)


def _find_rows(index: Any) -> np.ndarray:  # noqa: ANN401
    """Make rows findable by their ids; where these are not their places, return the places."""
    if isinstance(index, faiss.IndexIDMap):
        return np.argsort(faiss.vector_to_array(index.id_map), kind="stable")
    lists = faiss.try_extract_index_ivf(index)
    if lists is not None:
        lists.make_direct_map()
    return np.zeros(0, np.int64)
