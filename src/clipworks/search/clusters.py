"""A folder in some groups of alike pictures, each named with words.

Axes: row, cluster, word, dim (width of the joint space).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import faiss
import numpy as np
from jaxtyping import Int64

from clipworks.arrays import Embeddings, normalize_rows
from clipworks.errors import SettingsError
from clipworks.search.folder_vectors import FolderVectors
from clipworks.search.index import Report

WORDS_A_NAME = 3
_ITERATIONS = 25
_TRAINING_ROWS_PER_CLUSTER = 512


@dataclass(frozen=True)
class Clusters:
    """A folder's clusters, the largest first.

    Attributes:
        centres: unit rows [cluster dim].
        labels: the cluster of each row; -1 for deleted ones.
        sizes: rows of each cluster.
        representatives: for each cluster its rows, those nearest to the centre first; some only.
    """

    centres: Embeddings
    labels: Int64[np.ndarray, "row"]
    sizes: list[int]
    representatives: list[list[int]]


def find_clusters(
    vectors: FolderVectors,
    count: int,
    *,
    num_representatives: int = 6,
    seed: int = 0,
    report: Report | None = None,
) -> Clusters:
    """Group rows by spherical k-means (Dhillon and Modha, Machine Learning 42, 2001).

    It begins with rows that lie apart, as k-means++ chooses them (Arthur and Vassilvitskii, 2007).

    Args:
        vectors: the folder's.
        count: of clusters; fewer come where rows do not suffice, or none is nearest to a centre.
        num_representatives: rows to name for each cluster.
        seed: the same one gives the same clusters.
        report: is told how far the work is.

    Raises:
        SettingsError: fewer than one cluster is wanted, or the folder is empty.
    """
    if count < 1:
        raise SettingsError(f"number of clusters {count}: expected at least 1")
    if not len(vectors.ids):
        raise SettingsError("the folder holds no rows, so there are no clusters")
    count = min(count, len(vectors.ids))
    sample = vectors.sample(count * _TRAINING_ROWS_PER_CLUSTER)
    means = faiss.Kmeans(
        vectors.embedding_dim,
        count,
        niter=_ITERATIONS,
        spherical=True,
        seed=seed + 1,
        min_points_per_centroid=1,
        max_points_per_centroid=_TRAINING_ROWS_PER_CLUSTER,
    )
    means.train(sample, init_centroids=_spread_out(sample, count, seed))
    centres = normalize_rows(np.asarray(means.centroids, np.float32))
    return _assign(vectors, centres, num_representatives, report)


def name_clusters(centres: Embeddings, words: Sequence[str], rows: Embeddings) -> list[list[str]]:
    """Name each cluster with the words that fit it better than they fit the others.

    A word's fit is its cosine with the centre, less its mean cosine with all centres: so words that
    are near to everything name nothing.

    Args:
        centres: unit rows [cluster dim].
        words: to choose from.
        rows: of the words, by the same model [word dim].

    Returns:
        For each cluster the best words, best first.
    """
    cosines = centres @ rows.T  # [cluster word]
    fits = cosines - cosines.mean(axis=0, keepdims=True) if len(centres) > 1 else cosines
    order = np.argsort(-fits, axis=1, kind="stable")[:, :WORDS_A_NAME]
    return [[words[int(place)] for place in best] for best in order]


def name_by_captions(
    labels: Int64[np.ndarray, "row"], captions: Sequence[str | None], count: int
) -> list[list[str]]:
    """Name each cluster with words of its captions that are rare in the others' (by tf-idf).

    Returns:
        For each cluster the best words, best first; none where it has no captions.
    """
    counts = [Counter[str]() for _ in range(count)]
    for label, caption in zip(labels, captions, strict=True):
        if label < 0:
            continue
        words = {word for word in (caption or "").lower().split() if len(word) > 2}
        counts[label].update(words)
    spread = Counter(word for counter in counts for word in counter)
    names = []
    for counter in counts:
        scores = {w: n * np.log((1 + count) / spread[w]) for w, n in counter.items()}
        names.append(sorted(scores, key=lambda word: (-scores[word], word))[:WORDS_A_NAME])
    return names


def _spread_out(sample: Embeddings, count: int, seed: int) -> Embeddings:
    """Choose rows one by one, by chance, the likelier the farther from those chosen already."""
    random = np.random.default_rng(seed)
    chosen = [int(random.integers(len(sample)))]
    distances = np.full(len(sample), np.inf)
    for _ in range(count - 1):
        # The square of the distance between unit rows; rounding may take it below 0.
        distances = np.minimum(distances, np.maximum(2 - 2 * (sample @ sample[chosen[-1]]), 0))
        total = distances.sum()
        weights = distances / total if total > 0 else np.full(len(sample), 1 / len(sample))
        chosen.append(int(random.choice(len(sample), p=weights)))
    return np.ascontiguousarray(sample[chosen])


def _assign(
    vectors: FolderVectors, centres: Embeddings, num_representatives: int, report: Report | None
) -> Clusters:
    labels = np.full(vectors.size, -1)
    nearness = np.zeros(vectors.size, np.float32)
    done = 0
    for ids, rows in vectors.blocks():
        cosines = rows @ centres.T  # [row cluster]
        labels[ids] = cosines.argmax(axis=1)
        nearness[ids] = cosines.max(axis=1)
        done += len(ids)
        if report:
            report(done, len(vectors.ids))
    sizes = np.bincount(labels[vectors.ids], minlength=len(centres))
    order = np.argsort(-sizes, kind="stable")
    order = order[sizes[order] > 0]
    new_label = np.full(len(centres) + 1, -1)  # the last one is for the deleted rows' -1
    new_label[order] = np.arange(len(order))
    labels = new_label[labels]
    representatives = []
    for label in range(len(order)):
        rows = np.flatnonzero(labels == label)
        best = rows[np.argsort(-nearness[rows], kind="stable")[:num_representatives]]
        representatives.append(best.tolist())
    return Clusters(centres[order], labels, sizes[order].tolist(), representatives)
