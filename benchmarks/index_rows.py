"""Rows that lie as CLIP's embeddings lie, in any number, for measuring indexes.

What makes them unlike random rows:

    a cone        all pictures share a mean direction, and the cosine of any two is about 0.5
    a gap         texts share another one: a text's cosine with its picture is about 0.3
    a manifold    what is left varies in some hundred directions, in falling strength
    clusters      of very unequal sizes: there are more pictures of people than of pumpkins

Axes: row, dim (width of the joint space), latent (directions of the manifold).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clipworks.arrays import Embeddings, normalize_rows

LATENT = 160
_CONE = 0.72  # of a row's length
_NOISE = 0.25
_TEXTS_OWN = 2.0  # what a text says beside what its picture shows, in the picture's lengths


@dataclass(frozen=True)
class Space:
    """Where pictures and texts lie.

    Attributes:
        picture_mean: direction of the pictures' cone [dim].
        text_mean: of the texts' [dim].
        directions: of the manifold, orthonormal rows [latent dim].
        centres: of the clusters [cluster latent].
        weights: shares of the clusters.
    """

    picture_mean: np.ndarray
    text_mean: np.ndarray
    directions: np.ndarray
    centres: np.ndarray
    weights: np.ndarray


def make_space(dim: int = 512, clusters: int = 3000, seed: int = 0) -> Space:
    """Draw a space; the same seed gives the same one."""
    random = np.random.default_rng(seed)
    latent = min(LATENT, dim // 2)
    basis, _ = np.linalg.qr(random.standard_normal((dim, latent + 2)))
    shared = 0.2  # cosine of the two means
    picture_mean = basis[:, 0]
    text_mean = shared * basis[:, 0] + np.sqrt(1 - shared**2) * basis[:, 1]
    strength = (1 + np.arange(latent)) ** -0.4
    centres = random.standard_normal((clusters, latent)) * strength
    weights = (1 + np.arange(clusters)) ** -0.7
    return Space(
        picture_mean.astype(np.float32),
        text_mean.astype(np.float32),
        basis[:, 2:].T.astype(np.float32),
        centres.astype(np.float32),
        weights / weights.sum(),
    )


def draw_pairs(space: Space, count: int, seed: int) -> tuple[Embeddings, Embeddings]:
    """Draw pictures and the texts that describe them, as unit rows [row dim]."""
    random = np.random.default_rng((seed, 1))
    latent = space.centres.shape[1]
    strength = ((1 + np.arange(latent)) ** -0.4).astype(np.float32)
    chosen = random.choice(len(space.centres), count, p=space.weights)
    shown = space.centres[chosen] + _normal(random, count, latent) * strength * 0.7
    said = shown + _normal(random, count, latent) * strength * _TEXTS_OWN
    pictures = _in_cone(space.picture_mean, shown @ space.directions, random)
    texts = _in_cone(space.text_mean, said @ space.directions, random)
    return pictures, texts


def write_rows(folder: Path, space: Space, count: int, *, part_rows: int = 100_000) -> None:
    """Write pictures' rows in parts to an embedding folder of clip-retrieval's layout."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name in ("img_emb", "metadata"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    parts = -(-count // part_rows)
    for part in range(parts):
        digits = str(part).zfill(len(str(parts)))
        size = min(part_rows, count - part * part_rows)
        pictures, _ = draw_pairs(space, size, seed=part)
        np.save(folder / "img_emb" / f"img_emb_{digits}.npy", pictures.astype(np.float16))
        start = part * part_rows
        table = pa.table(
            {"image_path": [f"{number:08}.jpg" for number in range(start, start + size)]}
        )
        pq.write_table(table, folder / "metadata" / f"metadata_{digits}.parquet")


def _normal(random: np.random.Generator, count: int, width: int) -> np.ndarray:
    return random.standard_normal((count, width), dtype=np.float32)


def _in_cone(mean: np.ndarray, content: np.ndarray, random: np.random.Generator) -> Embeddings:
    noise = normalize_rows(_normal(random, len(content), len(mean)))
    content = normalize_rows(normalize_rows(content) + _NOISE * noise)
    return normalize_rows(_CONE * mean + np.sqrt(1 - _CONE**2) * content)
