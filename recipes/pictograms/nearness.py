"""Which test pictures are copies of training pictures.

Axes: n pictures, s = SIZE_PX rows and columns, c = 4 channels, f = features of a picture.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from recipes.pictograms.pictures import SIZE_PX

CELL_PX = 5
COPY_DISTANCE = 0.09
BLOCK = 256


def fingerprints(pictures: UInt8[np.ndarray, "n s s c"]) -> Float32[np.ndarray, "n f"]:
    """Return 16 x 16 averages of the colours over white and of the alpha, from 0 to 1."""
    cells = SIZE_PX // CELL_PX
    blocks = []
    for start in range(0, len(pictures), BLOCK):
        part = pictures[start : start + BLOCK].astype(np.float32) / 255
        alpha = part[..., 3:]
        part = np.concatenate([part[..., :3] * alpha + 1 - alpha, alpha], axis=-1)
        part = part.reshape(-1, cells, CELL_PX, cells, CELL_PX, 4)  # (n, 16, 5, 16, 5, c)
        blocks.append(part.mean((2, 4)).reshape(len(part), -1))  # (n, 16 * 16 * c)
    return np.concatenate(blocks)


def find_copies(
    tested: UInt8[np.ndarray, "n s s c"], trained: UInt8[np.ndarray, "m s s c"]
) -> Bool[np.ndarray, "n"]:
    """Tell which tested pictures lie within COPY_DISTANCE (root mean square) of a trained one."""
    ours, theirs = fingerprints(tested), fingerprints(trained)
    squares = (theirs**2).sum(1)
    copies = np.zeros(len(ours), bool)
    for start in range(0, len(ours), BLOCK):
        part = ours[start : start + BLOCK]
        distances = (part**2).sum(1)[:, None] + squares[None] - 2 * part @ theirs.T
        copies[start : start + BLOCK] = distances.min(1) / ours.shape[1] < COPY_DISTANCE**2
    return copies
