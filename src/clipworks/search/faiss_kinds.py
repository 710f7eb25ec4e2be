"""What the kinds of FAISS's indexes can do, wrapped in one another as they may be.

Axes: row (of the index).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from clipworks.search.faiss_binding import faiss
from clipworks.search.index import Allowed

UNTUNED_NODES = 16  # FAISS's own efSearch: nobody has chosen it, and it finds too little
_NODES_VISITED = 128  # instead of these
_CODES_WORTH_SHARING = 30_000  # below, two threads wait for each other longer than they gain
_PAGE = 10  # hits, for which a factor of rows to compare again is chosen
_DEEP_FACTOR = 2  # is enough further down
_BY_QUERIES, _WITHIN_A_QUERY = 0, 1  # FAISS's parallel_mode
# An OPQ matrix that was written comes back as a plain one.
_TRANSFORMS = {"LinearTransform": "OPQ", "OPQMatrix": "OPQ", "PCAMatrix": "PCA"}


@dataclass(frozen=True)
class Effort:
    """How hard an approximate search looks.

    Attributes:
        factor: how many times as many lists or nodes as the index says.
        allowed: the rows that may be found; None for all.
    """

    factor: float
    allowed: Allowed | None


def describe(index: Any) -> str:  # noqa: ANN401
    """How an index keeps its rows, for people: "IVF1024 SQ8"."""
    if isinstance(index, faiss.IndexPreTransform):
        steps = [index.chain.at(number) for number in range(index.chain.size())]
        kinds = [type(faiss.downcast_VectorTransform(step)).__name__ for step in steps]
        names = [_TRANSFORMS.get(kind, kind) for kind in kinds]
        return f"{' '.join(names)}, {describe(faiss.downcast_index(index.index))}"
    if isinstance(index, faiss.IndexRefine):
        finer = _codes(faiss.downcast_index(index.refine_index)).strip()
        coarser = describe(faiss.downcast_index(index.base_index))
        return f"{coarser} + {finer}" if finer else f"{coarser}, refined"
    if isinstance(index, faiss.IndexIDMap):
        return describe(faiss.downcast_index(index.index))
    if isinstance(index, faiss.IndexHNSW):
        return f"HNSW{index.hnsw.nb_neighbors(1)}{_codes(faiss.downcast_index(index.storage))}"
    if isinstance(index, faiss.IndexIVF):
        on_disk = isinstance(
            faiss.downcast_InvertedLists(index.invlists), faiss.OnDiskInvertedLists
        )
        return f"IVF{index.nlist}{_codes(index)}{', lists on disk' if on_disk else ''}"
    return f"flat{_codes(index)}" if takes_selectors(index) else type(index).__name__


def search_parameters(index: Any, k: int, effort: Effort) -> Any:  # noqa: ANN401
    """How to look; given with each query, so that threads do not meet in the index."""
    if isinstance(index, faiss.IndexIDMap):
        return search_parameters(faiss.downcast_index(index.index), k, effort)
    if isinstance(index, faiss.IndexPreTransform):
        inner = search_parameters(faiss.downcast_index(index.index), k, effort)
        return faiss.SearchParametersPreTransform(index_params=inner) if inner else None
    if isinstance(index, faiss.IndexRefine):
        rows = min(index.ntotal, _rows_compared_again(index, k, effort))
        inner = search_parameters(faiss.downcast_index(index.base_index), rows, effort)
        return faiss.IndexRefineSearchParameters(k_factor=rows / k, base_index_params=inner)
    chosen: dict[str, Any] = {}
    if effort.allowed is not None:
        bits = np.packbits(effort.allowed, bitorder="little")
        chosen["sel"] = faiss.IDSelectorBitmap(bits)
    if isinstance(index, faiss.IndexIVF):
        chosen["nprobe"] = min(index.nlist, math.ceil(index.nprobe * effort.factor))
        return faiss.SearchParametersIVF(**chosen)
    if isinstance(index, faiss.IndexHNSW):
        tuned = index.hnsw.efSearch != UNTUNED_NODES
        nodes = max(index.hnsw.efSearch if tuned else _NODES_VISITED, k) * effort.factor
        chosen["efSearch"] = math.ceil(min(nodes, max(index.ntotal, k)))
        return faiss.SearchParametersHNSW(**chosen)
    return faiss.SearchParameters(**chosen) if chosen else None


def _rows_compared_again(index: Any, k: int, effort: Effort) -> int:  # noqa: ANN401
    """How many rows a refined index takes a second look at, for k hits.

    Of a graph no more than it is to visit: it visits as many as it is asked for at the least.
    """
    if index.k_factor <= 1:
        return k
    rows = max(_PAGE * index.k_factor, k * min(index.k_factor, _DEEP_FACTOR))
    if graph := graph_of(index):
        rows = min(rows, max(k, graph.hnsw.efSearch * effort.factor))
    return math.ceil(rows)


def graph_of(index: Any) -> Any:  # noqa: ANN401
    """The graph in an index, however it is wrapped; None where there is none."""
    if isinstance(index, faiss.IndexHNSW):
        return index
    if isinstance(index, faiss.IndexIDMap | faiss.IndexPreTransform):
        return graph_of(faiss.downcast_index(index.index))
    if isinstance(index, faiss.IndexRefine):
        return graph_of(faiss.downcast_index(index.base_index))
    return None


def share_queries(index: Any) -> bool:  # noqa: ANN401
    """Let all cores work on a single query where it has many lists to look through; say whether.

    By itself FAISS shares out the queries of a batch, and a lone one has one core.
    """
    lists = faiss.try_extract_index_ivf(index)
    if lists is None or isinstance(faiss.downcast_index(lists), faiss.IndexIVFFastScan):
        return False
    codes = lists.nprobe * index.ntotal / max(1, lists.nlist)
    is_shared = codes >= _CODES_WORTH_SHARING
    lists.parallel_mode = _WITHIN_A_QUERY if is_shared else _BY_QUERIES
    return is_shared


def takes_selectors(index: Any) -> bool:  # noqa: ANN401
    """Whether FAISS can search this index within some rows: not all kinds can."""
    if isinstance(index, faiss.IndexIDMap | faiss.IndexPreTransform):
        return takes_selectors(faiss.downcast_index(index.index))
    if isinstance(index, faiss.IndexRefine):
        return takes_selectors(faiss.downcast_index(index.base_index))
    return isinstance(
        index, faiss.IndexIVF | faiss.IndexHNSW | faiss.IndexFlat | faiss.IndexScalarQuantizer
    )


def gives_rows(index: Any) -> bool:  # noqa: ANN401
    """Whether rows can be had back: FAISS 1.15 dies of it in packed lists that were read."""
    if isinstance(index, faiss.IndexRefine):
        return gives_rows(faiss.downcast_index(index.refine_index))
    lists = faiss.try_extract_index_ivf(index)
    return lists is None or not isinstance(faiss.downcast_index(lists), faiss.IndexIVFFastScan)


def keeps_distances(index: Any) -> bool:  # noqa: ANN401
    """Whether it answers with squared distances instead of inner products."""
    return index.metric_type == faiss.METRIC_L2


def find_rows(index: Any) -> np.ndarray:  # noqa: ANN401
    """Make rows findable by their ids; where these are not their places, return the places."""
    if isinstance(index, faiss.IndexIDMap):
        return np.argsort(faiss.vector_to_array(index.id_map), kind="stable")
    if isinstance(index, faiss.IndexRefine):
        return find_rows(faiss.downcast_index(index.refine_index))
    lists = faiss.try_extract_index_ivf(index)
    if lists is not None:
        lists.make_direct_map()
    return np.zeros(0, np.int64)


def without_rows(index: Any, kept: Allowed) -> Any:  # noqa: ANN401
    """Take rows out of an index that is in memory, and renumber the others; None if it cannot."""
    if isinstance(index, faiss.IndexFlat | faiss.IndexScalarQuantizer):
        bits = np.packbits(~kept, bitorder="little")
        index.remove_ids(faiss.IDSelectorBitmap(bits))
        return index
    if type(index) in (faiss.IndexIVFFlat, faiss.IndexIVFScalarQuantizer, faiss.IndexIVFPQ):
        return _lists_without(index, kept)
    if isinstance(index, faiss.IndexRefine):
        parts = [faiss.downcast_index(part) for part in (index.base_index, index.refine_index)]
        index.ntotal = int(kept.sum())
        return None if any(without_rows(part, kept) is None for part in parts) else index
    if isinstance(index, faiss.IndexPreTransform):
        index.ntotal = int(kept.sum())
        return index if without_rows(faiss.downcast_index(index.index), kept) else None
    if isinstance(index, faiss.IndexIVFPQFastScan):
        return _packed_lists_without(index, kept)
    return None


def _packed_lists_without(index: Any, kept: Allowed) -> Any:  # noqa: ANN401
    bits = np.packbits(~kept, bitorder="little")
    index.remove_ids(faiss.IDSelectorBitmap(bits))
    new_ids = np.cumsum(kept) - 1
    for number in range(index.nlist):
        size = index.invlists.list_size(number)
        if size:
            ids = faiss.rev_swig_ptr(index.invlists.get_ids(number), size)
            ids[:] = new_ids[ids]
    return index


def _lists_without(index: Any, kept: Allowed) -> Any:  # noqa: ANN401
    new_ids = np.cumsum(kept) - 1
    thinner = faiss.ArrayInvertedLists(index.nlist, index.code_size)
    for number in range(index.nlist):
        size = index.invlists.list_size(number)
        if not size:
            continue
        ids = faiss.rev_swig_ptr(index.invlists.get_ids(number), size)
        codes = faiss.rev_swig_ptr(index.invlists.get_codes(number), size * index.code_size)
        stay = kept[ids]
        chosen = np.ascontiguousarray(codes.reshape(size, index.code_size)[stay])
        thinner.add_entries(
            number,
            int(stay.sum()),
            faiss.swig_ptr(new_ids[ids[stay]].astype(np.int64)),
            faiss.swig_ptr(chosen),
        )
    index.replace_invlists(thinner, True)
    thinner.this.disown()  # the index frees it
    index.ntotal = int(kept.sum())
    return index


def _codes(index: Any) -> str:  # noqa: ANN401
    if isinstance(index, faiss.IndexIVFPQ | faiss.IndexPQ | faiss.IndexIVFPQFastScan):
        return f" PQ{index.pq.M}"
    quantizer = getattr(index, "sq", None)
    if quantizer is None:
        return ""
    names = {faiss.ScalarQuantizer.QT_8bit: " SQ8", faiss.ScalarQuantizer.QT_fp16: " fp16"}
    return names.get(quantizer.qtype, " SQ")
