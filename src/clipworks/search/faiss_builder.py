"""Rows to a FAISS index of a planned kind, block by block, in memory or with its lists on disk.

Only kinds that FAISS has had for long, so that other programs with an older one read them.

Axes: row, dim (width of the joint space).
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from clipworks.arrays import Embeddings
from clipworks.search.embedding_rows import EmbeddingRows
from clipworks.search.faiss_binding import faiss, one_thread
from clipworks.search.index_plan import GRAPH_LINKS, IndexPlan, count_codes, narrow_dim
from clipworks.search.silent_output import silent_output

LISTS_FILE = "merged_index.ivfdata"
POPULATED = "populated.index"
_ROWS_PER_LIST = 32  # to train with; of more the lists become hardly better
_ROWS_PER_CODE = 64
_ITERATIONS = 8
_FEW_ROWS = 16_384  # are enough to learn the range of each number
_CODE_BITS = 8
_FAST_CODE_BITS = 4  # sixteen values: as many as a register of the processor looks up at once
_COMPARED_AGAIN = 16  # times as many rows as a page of ten has
_COMPARED_AGAIN_OF_GRAPH = 3  # whose codes are finer
_LISTS_PROBED = 32  # until the index is tuned
_NODES_VISITED = 128

Watch = Callable[[int], None]
"""Is called with the rows done."""


def build_in_memory(rows: EmbeddingRows, plan: IndexPlan, watch: Watch) -> Any:  # noqa: ANN401
    """Train an index, and add all rows to it."""
    index = _trained(rows, plan)
    add_rows(index, rows, watch)
    return index


def add_rows(index: Any, rows: EmbeddingRows, watch: Watch) -> None:  # noqa: ANN401
    """Add rows at the end of an index that is in memory."""
    named = isinstance(index, faiss.IndexIDMap)
    for block in rows.blocks():
        if named:
            index.add_with_ids(block, np.arange(index.ntotal, index.ntotal + len(block)))
        else:
            index.add(block)
        watch(index.ntotal)


def build_on_disk(rows: EmbeddingRows, plan: IndexPlan, folder: Path, watch: Watch) -> Any:  # noqa: ANN401
    """Fill the lists piece by piece, each piece a file, and merge these into one file of lists.

    Args:
        rows: to add.
        plan: of a kind with lists.
        folder: gets the lists' file, which the index reads from then on.
        watch: is told how far the work is.
    """
    from faiss.contrib.ondisk import merge_ondisk

    index = _trained(rows, plan)
    shards = []
    for number, shard in enumerate(_shards(rows, plan)):
        piece = faiss.clone_index(index)
        for start, block in shard:
            piece.add_with_ids(block, np.arange(start, start + len(block)))
            watch(start + len(block))
        shards.append(folder / f"shard_{number}.index")
        faiss.write_index(piece, str(shards[-1]))
        del piece
    with silent_output():
        merge_ondisk(index, [str(path) for path in shards], str(folder / LISTS_FILE))
    gc.collect()  # lets go of the pieces' maps
    for path in shards:
        path.unlink()
    return index


Shard = Iterator[tuple[int, Embeddings]]


def _shards(rows: EmbeddingRows, plan: IndexPlan) -> Iterator[Shard]:
    """Cut the rows into pieces whose codes fill a quarter of the memory."""
    most = max(1, plan.memory_bytes // 4 // (plan.code_bytes + 8))
    blocks = _numbered(rows)
    for first in blocks:
        yield _until_full(first, blocks, most)


def _numbered(rows: EmbeddingRows) -> Shard:
    start = 0
    for block in rows.blocks():
        yield start, block
        start += len(block)


def _until_full(first: tuple[int, Embeddings], blocks: Shard, most: int) -> Shard:
    held = len(first[1])
    yield first
    while held + len(first[1]) <= most:
        following = next(blocks, None)
        if following is None:
            return
        held += len(following[1])
        yield following


def _trained(rows: EmbeddingRows, plan: IndexPlan) -> Any:  # noqa: ANN401
    dim, measure = rows.embedding_dim, faiss.METRIC_INNER_PRODUCT
    if plan.kind == "flat":
        return faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, measure)
    if plan.kind == "hnsw":
        return _trained_graph(rows)
    if plan.kind == "ivf-fast":
        return _trained_fast(rows, plan)
    return _trained_lists(rows, plan)


def _trained_graph(rows: EmbeddingRows) -> Any:  # noqa: ANN401
    """A graph of narrowed rows, and codes of whole rows to compare its finds again."""
    few = rows.sample(_FEW_ROWS)
    narrowing = _trained_narrowing(few)
    graph = faiss.IndexHNSWSQ(
        narrowing.d_out, faiss.ScalarQuantizer.QT_8bit, GRAPH_LINKS, faiss.METRIC_INNER_PRODUCT
    )
    graph.train(narrowing.apply(few))
    graph.hnsw.efSearch = _NODES_VISITED
    whole = faiss.IndexScalarQuantizer(
        rows.embedding_dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    return _compared_again(narrowing, graph, whole, _COMPARED_AGAIN_OF_GRAPH)


def _trained_fast(rows: EmbeddingRows, plan: IndexPlan) -> Any:  # noqa: ANN401
    """Tiny codes of narrowed rows to look through, and codes of whole rows to compare again."""
    measure, lists = faiss.METRIC_INNER_PRODUCT, min(plan.lists, rows.size)
    few = rows.sample(_FEW_ROWS)
    narrowing = _trained_narrowing(few)
    narrow = narrowing.d_out
    tiny = faiss.IndexIVFPQFastScan(
        faiss.IndexFlatIP(narrow), narrow, lists, narrow, _FAST_CODE_BITS, measure
    )
    _set_learning(tiny)
    tiny.nprobe = min(lists, _LISTS_PROBED)
    learnt = narrowing.apply(_at_least(2**_FAST_CODE_BITS, _sample(rows, plan, lists)))
    tiny.train_q1(len(learnt), faiss.swig_ptr(learnt), False, measure)
    with one_thread():  # what is left is to learn many small codes
        tiny.train(learnt)
    whole = faiss.IndexScalarQuantizer(
        rows.embedding_dim, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    whole.train(few)
    return _compared_again(narrowing, tiny, whole, _COMPARED_AGAIN)


def _compared_again(narrowing: Any, narrow: Any, whole: Any, times: int) -> Any:  # noqa: ANN401
    """An index of narrowed rows whose finds are compared again, with codes of whole rows."""
    index = faiss.IndexRefine(faiss.IndexPreTransform(narrowing, narrow), whole)
    index.k_factor = times
    return index


def _trained_narrowing(rows: Embeddings) -> Any:  # noqa: ANN401
    """The directions in which rows are longest, turned so that each code has as much to tell.

    The rows' opposites are learnt too: so the mean is 0, and inner products stay what they are.
    """
    dim = rows.shape[1]
    enough = _at_least(dim, rows)
    narrowing = faiss.PCAMatrix(dim, narrow_dim(dim), 0, True)
    with one_thread():
        narrowing.train(np.concatenate([enough, -enough]))
    return narrowing


def _at_least(count: int, rows: Embeddings) -> Embeddings:
    """The rows again and again, where FAISS refuses to learn from so few."""
    return rows if len(rows) >= count else np.resize(rows, (count, rows.shape[1]))


def _trained_lists(rows: EmbeddingRows, plan: IndexPlan) -> Any:  # noqa: ANN401
    dim, measure = rows.embedding_dim, faiss.METRIC_INNER_PRODUCT
    centres, lists = faiss.IndexFlatIP(dim), min(plan.lists, rows.size)
    if plan.kind == "ivf-sq8":
        codes = faiss.ScalarQuantizer.QT_8bit
        index = faiss.IndexIVFScalarQuantizer(centres, dim, lists, codes, measure)
    else:
        index = faiss.IndexIVFPQ(centres, dim, lists, count_codes(dim), _code_bits(rows), measure)
        index.pq.cp.max_points_per_centroid = _ROWS_PER_CODE
    _set_learning(index)
    index.nprobe = min(lists, _LISTS_PROBED)
    index.train(_sample(rows, plan, lists))
    return index


def _sample(rows: EmbeddingRows, plan: IndexPlan, lists: int) -> Embeddings:
    """Rows to learn lists and codes from, in a quarter of the memory."""
    wanted = max(lists * _ROWS_PER_LIST, _FEW_ROWS)
    affordable = plan.memory_bytes // 4 // (rows.embedding_dim * 4)
    return rows.sample(min(wanted, max(lists, affordable)))


def _set_learning(index: Any) -> None:  # noqa: ANN401
    """Say how lists and codes are learnt."""
    index.cp.max_points_per_centroid = _ROWS_PER_LIST
    index.cp.spherical = True
    has_products = isinstance(index, faiss.IndexIVFPQ | faiss.IndexIVFPQFastScan)
    for each in [index.cp, index.pq.cp] if has_products else [index.cp]:
        each.min_points_per_centroid = 1  # small folders are no cause for alarm
        each.niter = _ITERATIONS


def _code_bits(rows: EmbeddingRows) -> int:
    """FAISS learns no more values of a code than it sees rows."""
    return min(_CODE_BITS, max(1, rows.size.bit_length() - 1))
