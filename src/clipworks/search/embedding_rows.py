"""The embeddings of a folder as one long matrix, read from disk as it is needed.

Axes: row (over all partitions, in their order), dim (width of the joint space).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Int64

from clipworks.arrays import Embeddings
from clipworks.data.stored_rows import open_stored_rows
from clipworks.errors import FolderError

BLOCK_ROWS = 16384


@final
class EmbeddingRows:
    """`.npy` files, memory-mapped, one after the other.

    Args:
        files: in order; each as `clipworks.data.stored_rows` says; rows come as float32.

    Raises:
        FolderError: a file is missing, damaged, or not as wide as the others.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._parts = [open_stored_rows(path) for path in files]
        widths = {part.shape[1] for part in self._parts if len(part)}
        if len(widths) > 1:
            raise FolderError(
                f"{files[0].parent}: its files are {sorted(widths)} wide, so they come from "
                "several models: embed again into a new folder"
            )
        self.embedding_dim: int = widths.pop() if widths else 0

    @property
    def sizes(self) -> list[int]:
        """Rows of each file."""
        return [len(part) for part in self._parts]

    @cached_property
    def size(self) -> int:
        """Rows of all files."""
        return sum(self.sizes)

    def blocks(self) -> Iterator[Embeddings]:
        """Go through all rows, some thousands at a time, as float32 [row dim]."""
        for part in self._parts:
            for start in range(0, len(part), BLOCK_ROWS):
                yield part[start : start + BLOCK_ROWS]

    def sample(self, count: int) -> Embeddings:
        """Draw up to `count` rows evenly at random, the same ones every time."""
        return self.take(draw_rows(self.size, count))

    def take(self, ids: Int64[np.ndarray, "row"]) -> Embeddings:
        """Read some rows, in the order asked for, as float32 [row dim]."""
        taken = np.empty((len(ids), self.embedding_dim), np.float32)
        starts = np.cumsum([0, *self.sizes])
        part_of = np.searchsorted(starts, ids, side="right") - 1
        for number in np.unique(part_of):
            places = part_of == number
            taken[places] = self._parts[number][ids[places] - starts[number]]
        return taken


def draw_rows(size: int, count: int, *, seed: int = 0) -> Int64[np.ndarray, "row"]:
    """Draw up to `count` of `size` row numbers evenly at random: the same each time, rising."""
    chosen = np.random.default_rng(seed).choice(size, min(count, size), replace=False)
    return np.sort(chosen)
