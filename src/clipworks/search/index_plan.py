"""Which kind of index a folder gets: by its rows, its width and the memory there is.

The limits come from measurements on two cores (docs/benchmarks/index.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from clipworks.errors import SettingsError
from clipworks.search.index_settings import AUTO, IndexSettings

MAX_FLAT_ROWS = 20_000  # comparing with every row takes about 0.6 ms, and is exact
MAX_GRAPH_ROWS = 150_000  # of more, texts are found sooner in lists
# Where queries are what the rows are, a graph answers sooner than its neighbours for longer.
_MAX_FLAT_ROWS_ALIKE, _MAX_GRAPH_ROWS_ALIKE = 5_000, 300_000
GRAPH_LINKS = 32
_LINK_BYTES = 2 * GRAPH_LINKS * 4 + 16
_ID_BYTES = 8
_OVERHEAD = 1.15  # of lists and buffers that grow by doubling
_BUILDING_BYTES = 96 * 2**20  # blocks of rows on their way
_LEAST_ROWS_PER_LIST = 16
_LEAST_ROWS_PER_FAST_LIST = 64  # which are packed by 32
_DIMS_PER_CODE = 8
_NARROWED, _LEAST_NARROW = 3 / 8, 128  # of a row's width: rows vary in fewer directions
_ON_DISK = ("ivf-sq8", "ivf-pq")  # may stay there


@dataclass(frozen=True)
class IndexPlan:
    """How an index will keep its rows.

    Attributes:
        kind: one of KINDS.
        lists: inverted lists; 0 where the kind has none.
        code_bytes: of one row.
        size_bytes: of the whole, about.
        on_disk: its lists stay on disk, since they do not fit the memory.
        memory_bytes: the budget.
    """

    kind: str
    lists: int
    code_bytes: int
    size_bytes: int
    on_disk: bool
    memory_bytes: int


def plan_index(num_rows: int, dim: int, settings: IndexSettings) -> IndexPlan:
    """Choose: exact while that is fast, then lists, then lists of short codes.

    Raises:
        SettingsError: the kind that is asked for does not fit the memory.
    """
    kind = settings.kind if settings.kind != AUTO else _choose(num_rows, dim, settings)
    size = size_of(kind, num_rows, dim)
    fits = size + _BUILDING_BYTES <= settings.memory
    if not fits and kind not in _ON_DISK:
        raise SettingsError(
            f"a {kind} index of {num_rows:,} rows takes {size / 1e9:.1f} GB, and the memory is to "
            f"be {settings.memory / 1e9:.1f} GB: give more, or take another --kind"
        )
    lists = _count_lists(kind, num_rows)
    return IndexPlan(kind, lists, _code_bytes(kind, dim), size, not fits, settings.memory)


def size_of(kind: str, num_rows: int, dim: int) -> int:
    """Bytes of an index, about."""
    row = _code_bytes(kind, dim)
    row += _LINK_BYTES if kind == "hnsw" else _ID_BYTES if kind.startswith("ivf") else 0
    centres = _count_lists(kind, num_rows) * dim * 4
    return math.ceil(row * num_rows * (1.0 if kind == "flat" else _OVERHEAD)) + centres


def _choose(num_rows: int, dim: int, settings: IndexSettings) -> str:
    """The first kind that is for so many rows, and fits the memory."""
    flat, graph = MAX_FLAT_ROWS, MAX_GRAPH_ROWS
    if settings.is_asked_alike:
        flat, graph = _MAX_FLAT_ROWS_ALIKE, _MAX_GRAPH_ROWS_ALIKE
    for kind, limit in {"flat": flat, "hnsw": graph, "ivf-fast": math.inf}.items():
        fits = size_of(kind, num_rows, dim) + _BUILDING_BYTES <= settings.memory
        if num_rows <= limit and fits:
            return kind
    return "ivf-pq"


def second_choice(num_rows: int, dim: int, settings: IndexSettings) -> str:
    """What to build where the first choice finds too little; empty where there is nothing else.

    A graph may lead queries astray that lie far from all rows; lists are looked through whole.
    """
    is_free = settings.kind == AUTO and _choose(num_rows, dim, settings) == "hnsw"
    return "ivf-fast" if is_free else ""


def _code_bytes(kind: str, dim: int) -> int:
    narrow = narrow_dim(dim)
    sizes = {
        "flat": 2 * dim,
        "hnsw": 2 * dim + narrow,
        "ivf-fast": dim + narrow // 2,
        "ivf-pq": count_codes(dim),
    }
    return sizes.get(kind, dim)


def count_codes(dim: int) -> int:
    """Into how many bytes a row is quantised by products: a number that divides its width."""
    return next(n for n in range(max(1, dim // _DIMS_PER_CODE), 0, -1) if dim % n == 0)


def narrow_dim(dim: int) -> int:
    """To how many numbers a row is narrowed that is looked through fast."""
    return min(dim, max(_LEAST_NARROW, round(dim * _NARROWED)))


def _count_lists(kind: str, num_rows: int) -> int:
    """Four times the root: more would find as much in fewer rows, but take longer to learn."""
    if not kind.startswith("ivf"):
        return 0
    least = _LEAST_ROWS_PER_FAST_LIST if kind == "ivf-fast" else _LEAST_ROWS_PER_LIST
    wanted = min(4 * math.sqrt(num_rows), num_rows / least)
    return 2 ** max(2, round(math.log2(max(1, wanted))))
