"""FAISS, in memory or with its lists on disk: what clipworks builds, and what others have built.

Axes: row (of the index), query, hit, dim (width of the joint space).
"""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from pathlib import Path
from threading import Lock
from typing import Any, Self, final

import numpy as np

from clipworks.arrays import Embeddings
from clipworks.errors import FolderError
from clipworks.files import atomic_path, temporary_name
from clipworks.search.embedding_rows import BLOCK_ROWS, EmbeddingRows
from clipworks.search.faiss_binding import faiss, one_thread
from clipworks.search.faiss_builder import (
    POPULATED,
    add_rows,
    build_in_memory,
    build_on_disk,
)
from clipworks.search.faiss_kinds import (
    UNTUNED_NODES,
    Effort,
    describe,
    find_rows,
    gives_rows,
    graph_of,
    keeps_distances,
    search_parameters,
    share_queries,
    takes_selectors,
    without_rows,
)
from clipworks.search.index import DEFAULT_SETTINGS, AbstractStoredIndex, Allowed, Report
from clipworks.search.index_plan import plan_index
from clipworks.search.index_settings import IndexSettings
from clipworks.search.matches import Matches, in_blocks, nearest_among
from clipworks.search.silent_output import silent_output

# Up to here reading the allowed rows and comparing is faster than a search within them.
MAX_COMPARED_ROWS = 1024
_MAX_LISTS_VISITED = 1024
_MAX_NODES_VISITED = 1024
_NODES_PER_ROW = 0.25  # are visited while a row is read and compared
_LOPSIDED = 1.5  # times as unequal as they were: lists that were learnt from other rows


@final
class FaissIndex(AbstractStoredIndex):
    """An index of FAISS, one that clipworks built or clipworks merely reads.

    Args:
        index: FAISS's own object.
        path: where it was read from; None for one that lies in memory alone.
        unsaved_lists: folder of the lists of one that was built on disk and is not saved yet.
    """

    def __init__(
        self,
        index: Any,  # noqa: ANN401
        path: Path | None = None,
        unsaved_lists: Path | None = None,
    ) -> None:
        self._index = index
        self._path = path
        self._unsaved_lists = unsaved_lists
        self._graph = graph_of(index)
        self._keeps_distances = keeps_distances(index)
        self._finding_rows = Lock()
        self._places: np.ndarray | None = None
        self._shares_queries = share_queries(index)
        self._kept_parameters: tuple[int, Any] | None = None

    @property
    def kind(self) -> str:
        """How the rows are kept."""
        return describe(self._index)

    @property
    def size(self) -> int:
        """How many rows there are."""
        return self._index.ntotal

    @property
    def embedding_dim(self) -> int:
        """Width of the joint space."""
        return self._index.d

    @classmethod
    def build(
        cls,
        rows: EmbeddingRows,
        settings: IndexSettings = DEFAULT_SETTINGS,
        report: Report | None = None,
    ) -> Self:
        """Take in all rows, in the kind that fits their number and the memory."""

        def watch(done: int) -> None:
            if report:
                report(done, rows.size)

        plan = plan_index(rows.size, rows.embedding_dim, settings)
        if not plan.on_disk:
            return cls(build_in_memory(rows, plan, watch))
        assert settings.work_folder, "an index with lists on disk needs a folder to work in"
        lists = temporary_name(settings.work_folder / "lists")
        lists.mkdir(parents=True)
        try:
            return cls(build_on_disk(rows, plan, lists, watch), unsaved_lists=lists)
        except BaseException:
            shutil.rmtree(lists, ignore_errors=True)
            raise

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read an index, memory-mapped.

        Raises:
            FolderError: the file is missing or damaged.
        """
        return cls(_read(path, faiss.IO_FLAG_READ_ONLY | faiss.IO_FLAG_MMAP_IFC), path)

    def save(self, path: Path) -> None:
        """Write the index: one file, or a folder where its lists lie on disk."""
        if self._unsaved_lists is None:
            with atomic_path(path) as temporary:
                _write(self._index, temporary)
                if path.is_dir():
                    shutil.rmtree(path)
            return
        _write(self._index, self._unsaved_lists / POPULATED)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        self._unsaved_lists.rename(path)
        self._unsaved_lists = None

    def discard(self) -> None:
        """Do nothing: all of it is in its file."""

    @property
    def max_effort(self) -> int:
        """Lists to probe, or nodes of the graph to visit; 1 for kinds that look at all rows."""
        lists = faiss.try_extract_index_ivf(self._index)
        if lists is not None:
            return min(lists.nlist, _MAX_LISTS_VISITED)
        return _MAX_NODES_VISITED if self._graph is not None else 1

    def set_effort(self, effort: int) -> None:
        """Set what FAISS calls nprobe or efSearch, so that its other readers do as we do."""
        lists = faiss.try_extract_index_ivf(self._index)
        if lists is not None:
            lists.nprobe = effort
        elif self._graph is not None:
            self._graph.hnsw.efSearch = effort + (effort == UNTUNED_NODES)
        self._shares_queries = share_queries(self._index)
        self._kept_parameters = None

    def grown(self, rows: EmbeddingRows) -> Self | None:
        """A copy with further rows; None where its lists lie on disk, or would be lopsided."""
        if self._path is None or self._path.is_dir():
            return None
        index = _read(self._path, 0)
        lists = faiss.try_extract_index_ivf(index)
        before = lists.invlists.imbalance_factor() if lists is not None else 1.0
        add_rows(index, rows, lambda _: None)
        if lists is not None and lists.invlists.imbalance_factor() > _LOPSIDED * before:
            return None
        return type(self)(index)

    def thinned(self, kept: Allowed) -> Self | None:
        """A copy without some rows; None for graphs, and where lists lie on disk."""
        if self._path is None or self._path.is_dir() or self._graph is not None:
            return None
        index = without_rows(_read(self._path, 0), kept)
        return None if index is None else type(self)(index)

    def _nearest(self, queries: Embeddings, k: int, allowed: Allowed | None) -> Matches:
        # Counted once, and not added up: that takes a third of a millisecond a million rows.
        count = self.size if allowed is None else int(np.count_nonzero(allowed))
        if allowed is not None and self._is_better_compared(count):
            return nearest_among(
                queries, k, in_blocks(np.flatnonzero(allowed), BLOCK_ROWS, self._rows_at)
            )
        wanted = min(k, count)
        found = self._search(queries, k, Effort(self.size / count, allowed))
        # Of some queries fewer rows lay where an approximate search looked: it looks everywhere.
        short = np.flatnonzero(found.ids[:, wanted - 1] < 0)
        if len(short):
            again = self._search(queries[short], k, Effort(self.size, allowed))
            found.ids[short], found.similarities[short] = again
        return found

    def _search(self, queries: Embeddings, k: int, effort: Effort) -> Matches:
        parameters = self._parameters(k, effort)
        is_lone = len(queries) == 1 and not self._shares_queries
        with one_thread() if is_lone else nullcontext():
            similarities, ids = self._index.search(queries, k, params=parameters)
        if self._keeps_distances:  # |a - b|^2 = 2 - 2 ab, of unit rows
            similarities = 1 - similarities / 2
        missing = ids < 0
        if missing.any():
            similarities[missing] = -np.inf
        return Matches(ids, similarities)

    def _parameters(self, k: int, effort: Effort) -> Any:  # noqa: ANN401
        """How to look; kept for the next query, since making it takes as long as a look."""
        if effort.allowed is not None or effort.factor != 1:
            return search_parameters(self._index, k, effort)
        kept = self._kept_parameters  # another thread may put others in their place
        if kept is None or kept[0] != k:
            kept = self._kept_parameters = (k, search_parameters(self._index, k, effort))
        return kept[1]

    def _is_better_compared(self, count: int) -> bool:
        is_few = count <= MAX_COMPARED_ROWS
        if self._graph is not None:  # has to visit the more nodes, the fewer of them are allowed
            is_few = is_few or count**2 <= self.size * self._graph.hnsw.efSearch * _NODES_PER_ROW
        return gives_rows(self._index) and (is_few or not takes_selectors(self._index))

    def _rows_at(self, ids: np.ndarray) -> Embeddings:
        if not gives_rows(self._index):
            raise FolderError(f"{self.kind} does not give its rows back: run clipworks index again")
        with self._finding_rows:
            if self._places is None:
                self._places = find_rows(self._index)
        keeper = self._index
        if isinstance(keeper, faiss.IndexIDMap):
            keeper = faiss.downcast_index(keeper.index)
        return keeper.reconstruct_batch(self._places[ids] if len(self._places) else ids)


def _read(path: Path, flags: int) -> Any:  # noqa: ANN401
    if path.is_dir():  # clip-retrieval's form for indexes larger than memory
        path, flags = path / POPULATED, faiss.IO_FLAG_READ_ONLY | faiss.IO_FLAG_ONDISK_SAME_DIR
    if not path.is_file():
        raise FolderError(f"{path} is missing")
    try:
        with silent_output() if flags & faiss.IO_FLAG_ONDISK_SAME_DIR else nullcontext():
            return faiss.read_index(str(path), flags)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise FolderError(f"{path} is damaged, or not for this FAISS: {reason}") from error


def _write(index: Any, path: Path) -> None:  # noqa: ANN401
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise FolderError(f"{path.parent} cannot be written: {reason}") from error
