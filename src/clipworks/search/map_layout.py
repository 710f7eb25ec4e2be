"""Rows of a folder as points in the plane, the alike ones near to each other.

Axes: row, dim (width of the joint space), xy.
"""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
from jaxtyping import Float32

from clipworks.arrays import Embeddings
from clipworks.errors import SettingsError
from clipworks.extras import require

LayoutMethod = Literal["umap", "pca"]
Points = Float32[np.ndarray, "row xy"]

_NEIGHBOURS = 15
_FEWEST_ROWS = 5  # UMAP wants more points than this to lay out
_OUTERMOST = 0.5  # per cent of the points on each side that may lie beyond the square


def lay_out(rows: Embeddings, method: LayoutMethod, *, seed: int = 0) -> Points:
    """Give each row a place in the square from -1 to 1; the same seed gives the same places.

    Args:
        rows: unit rows [row dim].
        method: `umap` (McInnes, Healy and Melville, arXiv:1802.03426), or `pca`: the two
            directions in which rows differ most.
        seed: of UMAP; PCA needs none.

    Raises:
        MissingExtraError: UMAP is not installed.
        SettingsError: there are no rows.
    """
    if not len(rows):
        raise SettingsError("the folder holds no rows, so there is nothing to draw")
    if method == "umap" and len(rows) > _FEWEST_ROWS:
        return _fit_square(_umap(rows, seed))
    return _fit_square(_principal(rows))


def _umap(rows: Embeddings, seed: int) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what else UMAP could do, and how: not for our users
        umap = require("umap", "laying a map out with UMAP")
        layout = umap.UMAP(
            n_neighbors=min(_NEIGHBOURS, len(rows) - 1),
            min_dist=0.15,
            metric="cosine",
            random_state=seed,
            n_jobs=1,  # more would make the places a matter of chance
            init="pca" if len(rows) > rows.shape[1] else "random",
        )
        return layout.fit_transform(rows)


def _principal(rows: Embeddings) -> np.ndarray:
    centred = rows - rows.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
    best = directions[:, -1:-3:-1]  # [dim xy]
    # An eigenvector's sign is a matter of chance: the largest entry decides it.
    best = best * np.sign(best[np.abs(best).argmax(axis=0), [0, 1][: best.shape[1]]])
    points = centred @ best
    return np.pad(points, ((0, 0), (0, 2 - points.shape[1])))


def _fit_square(points: np.ndarray) -> Points:
    """Scale both axes alike, so that all but a few stragglers lie in the square."""
    low, high = np.percentile(points, [_OUTERMOST, 100 - _OUTERMOST], axis=0)
    half = max(float((high - low).max()) / 2, 1e-9)
    return (((points - (low + high) / 2) / half) * 0.95).astype(np.float32)
