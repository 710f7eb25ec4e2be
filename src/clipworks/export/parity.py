"""How well two models agree, from their embeddings alone.

Axes: row (a picture or a text), image, label, dim (width of the joint space).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from clipworks.arrays import Embeddings

_NEIGHBOURS = 10


@dataclass(frozen=True)
class CosineSummary:
    """Cosines between two models' vectors of the same pictures or texts.

    Attributes:
        lowest: of all.
        first_percentile: 99 of 100 are higher.
        mean: of all.
    """

    lowest: float
    first_percentile: float
    mean: float


def row_cosines(
    rows: Float[np.ndarray, "row dim"], reference: Float[np.ndarray, "row dim"]
) -> Float[np.ndarray, "row"]:
    """The cosine of each row with the same row of the reference, in float64."""
    products = np.einsum("rd,rd->r", rows, reference, dtype=np.float64)
    norms = [np.linalg.norm(one.astype(np.float64), axis=1) for one in (rows, reference)]
    return np.clip(products / (norms[0] * norms[1]), -1.0, 1.0)


def summarise_cosines(cosines: Float[np.ndarray, "row"]) -> CosineSummary:
    """The lowest, the first percentile and the mean."""
    return CosineSummary(
        lowest=float(cosines.min()),
        first_percentile=float(np.percentile(cosines, 1)),
        mean=float(cosines.mean()),
    )


def top1_agreement(
    scores: Float[np.ndarray, "image label"], reference: Float[np.ndarray, "image label"]
) -> float:
    """The share of pictures, 0..1, to which both models give the same best label."""
    return float(np.mean(scores.argmax(axis=1) == reference.argmax(axis=1)))


def top1_accuracy(
    scores: Float[np.ndarray, "image label"], truth: Int[np.ndarray, "image"] | Sequence[int]
) -> float:
    """The share of pictures, 0..1, whose best label is the true one."""
    return float(np.mean(scores.argmax(axis=1) == np.asarray(truth)))


def neighbour_overlap(
    images: Embeddings, reference: Embeddings, *, count: int = _NEIGHBOURS
) -> float:
    """The share, 0..1, of each picture's nearest others that both models name; the mean of all.

    With fewer than `count` other pictures each has all of them, and the overlap is 1.
    """
    if len(images) < 2:
        return 1.0
    ours, theirs = (_neighbours(rows, count) for rows in (images, reference))
    shares = [len(set(a) & set(b)) / len(a) for a, b in zip(ours, theirs, strict=True)]
    return float(np.mean(shares))


def _neighbours(images: Embeddings, count: int) -> Int[np.ndarray, "image neighbour"]:
    """Each picture's nearest others by cosine."""
    cosines = images.astype(np.float64) @ images.T.astype(np.float64)
    np.fill_diagonal(cosines, -np.inf)
    return np.argsort(-cosines, axis=1, kind="stable")[:, : min(count, len(images) - 1)]
