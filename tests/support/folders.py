"""Embedding folders of random rows, and of rows that lie in groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from clipworks.arrays import normalize_rows
from tests.support.colours import DIM, write_embedding_folder


def folder_of(folder: Path, rows: np.ndarray, *, parts: int = 1, records=None):
    """Write rows as an embedding folder; they come back as it holds them, in float32."""
    rows = normalize_rows(np.asarray(rows, np.float32)).astype(np.float16)
    records = records or [
        {"image_path": f"/pictures/{i}.png", "caption": f"number {i}", "n": i}
        for i in range(len(rows))
    ]
    cuts = np.array_split(np.arange(len(rows)), parts)
    write_embedding_folder(
        folder,
        [(rows[cut], [records[i] for i in cut]) for cut in cuts],
        embedding_dim=rows.shape[1],
    )
    return folder, rows.astype(np.float32)


def random_folder(folder: Path, count: int, *, parts: int = 1, dim: int = DIM, seed: int = 0):
    """Write random rows as an embedding folder."""
    rows = np.random.default_rng(seed).standard_normal((count, dim))
    return folder_of(folder, rows, parts=parts)


def grouped_rows(groups: int, members: int, *, dim: int, spread: float, seed: int = 0):
    """Rows around random centres, [group * member, dim], group by group."""
    random = np.random.default_rng(seed)
    centres = normalize_rows(random.standard_normal((groups, dim)).astype(np.float32))
    noise = random.standard_normal((groups, members, dim)) * spread / np.sqrt(dim)
    return (centres[:, None] + noise).reshape(groups * members, dim)
