"""The groups of near duplicates in a whole folder, in bounded memory.

Small folders are compared row by row with every row. In large ones rows are first sorted into
cells around centres (k-means), and each is compared with the rows of the few cells nearest to it:
two rows at a cosine of 0.94 lie 20 degrees apart, most often in one cell.

Axes: row, cell, dim (width of the joint space).
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from jaxtyping import Int64

from clipworks.data.addresses import is_address
from clipworks.data.contents import open_again
from clipworks.errors import InputError
from clipworks.files import sha256_of_file
from clipworks.search.embedding_rows import draw_rows
from clipworks.search.folder_vectors import FolderVectors
from clipworks.search.index import Report
from clipworks.search.near_duplicates import NEAR_DUPLICATE, Components, check_threshold

Groups = list[list[int]]
"""Rows that are alike, each group rising, the largest first; rows alone are in none."""

MAX_EXHAUSTIVE_ROWS = 20_000
_CELLS_LOOKED_AT = 6
_TRAINING_ROWS_PER_CELL = 64
_QUERY_ROWS = 2048


def find_near_duplicates(
    vectors: FolderVectors,
    threshold: float = NEAR_DUPLICATE,
    *,
    ids: np.ndarray | None = None,
    report: Report | None = None,
) -> Groups:
    """Group rows that a chain of cosines of `threshold` and more ties together.

    Rows of zeros (samples without a caption) are in no group.

    Args:
        vectors: the folder's.
        threshold: 0.94 is clip-retrieval's.
        ids: which rows to look at; None for all that were not deleted.
        report: is told how far the work is.

    Raises:
        SettingsError: the threshold is no cosine above 0.
    """
    threshold = check_threshold(threshold)
    wanted = vectors.ids if ids is None else np.sort(ids)
    if len(wanted) < 2:
        return []
    index = _index_rows(vectors, wanted)
    components = Components(len(wanted))
    done = 0
    for _, rows in vectors.blocks(wanted):
        for start in range(0, len(rows), _QUERY_ROWS):
            queries = rows[start : start + _QUERY_ROWS]
            limits, _, places = index.range_search(queries, threshold - 1e-6)
            own = np.repeat(np.arange(done, done + len(queries)), np.diff(limits).astype(np.int64))
            components.join(own, places)
            done += len(queries)
            if report:
                report(done, len(wanted))
    return _as_groups(components.labels(), wanted)


def find_same_files(
    paths: Sequence[str | None], report: Report | None = None
) -> tuple[Groups, list[int]]:
    """Group rows whose files hold the same bytes.

    Args:
        paths: one a row; None is in no group.
        report: is told how far the work is.

    Returns:
        The groups, and the rows whose files cannot be read.
    """
    unread: list[int] = []
    # Only files tell their sizes; beside pictures in tars or on the web, every one is looked into.
    sized = not any(path is not None and is_address(path) for path in paths)
    by_size: dict[int, list[int]] = defaultdict(list)
    for row, path in enumerate(paths):
        try:
            if path is not None:
                by_size[Path(path).stat().st_size if sized else 0].append(row)
        except (OSError, ValueError):
            unread.append(row)
    by_digest: dict[str, list[int]] = defaultdict(list)
    candidates = [row for rows in by_size.values() if len(rows) > 1 for row in rows]
    for done, row in enumerate(candidates, 1):
        try:
            by_digest[_digest(paths[row] or "")].append(row)
        except (OSError, InputError):
            unread.append(row)
        if report:
            report(done, len(candidates))
    return _sorted_groups(by_digest.values()), sorted(unread)


def _digest(image_path: str) -> str:
    found = open_again(image_path)
    return hashlib.sha256(found).hexdigest() if isinstance(found, bytes) else sha256_of_file(found)


def _index_rows(vectors: FolderVectors, wanted: np.ndarray) -> Any:  # noqa: ANN401 - FAISS's
    """The wanted rows in half floats, as they lie on disk, numbered by their places."""
    dim, half = vectors.embedding_dim, faiss.ScalarQuantizer.QT_fp16
    if len(wanted) <= MAX_EXHAUSTIVE_ROWS:
        index = faiss.IndexScalarQuantizer(dim, half, faiss.METRIC_INNER_PRODUCT)
    else:
        cells = 2 ** round(math.log2(math.sqrt(len(wanted))))
        centres = faiss.IndexFlatIP(dim)
        index = faiss.IndexIVFScalarQuantizer(centres, dim, cells, half, faiss.METRIC_INNER_PRODUCT)
        index.cp.niter = 6
        chosen = draw_rows(len(wanted), cells * _TRAINING_ROWS_PER_CELL)
        index.train(vectors.take(wanted[chosen]))
        index.nprobe = _CELLS_LOOKED_AT
    for _, rows in vectors.blocks(wanted):
        index.add(rows)
    return index


def _as_groups(labels: Int64[np.ndarray, "row"], ids: np.ndarray) -> Groups:
    order = np.argsort(labels, kind="stable")
    edges = np.flatnonzero(np.diff(labels[order])) + 1
    return _sorted_groups(ids[part].tolist() for part in np.split(order, edges) if len(part) > 1)


def _sorted_groups(groups: Iterable[list[int]]) -> Groups:
    kept = [sorted(group) for group in groups if len(group) > 1]
    return sorted(kept, key=lambda group: (-len(group), group[0]))
