"""Learnt positions of a picture's patches, stretched to grids of another size.

Axes: token (what stands before the patches, then the patches), patch (row by row from the top
left), width (of the residual stream).
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch reader knows
from jaxtyping import Float
from torch import Tensor

from clipworks.models.config import PositionResize, VisionConfig

Grid = tuple[int, int]
"""Patches from top to bottom, and from left to right."""


def resize_grid(
    table: Float[Tensor, "patch width"], grid: Grid, how: PositionResize
) -> Float[Tensor, "resized width"]:
    """Stretch the positions of a square grid to another grid.

    Args:
        table: a row for each patch of a square.
        grid: what it is to fit.
        how: the filter, as the library has it whose weights these are.

    Returns:
        A row for each patch of `grid`, of the table's own type.
    """
    side = math.isqrt(table.shape[0])
    if grid == (side, side):
        return table
    # The antialiased filters have no kernels for half precision.
    wide = table if table.dtype == torch.float64 else table.float()
    mode, _, antialias = how.partition("_")
    resized = F.interpolate(
        wide.T.unflatten(1, (side, side)).unsqueeze(0),  # [1 width row column]
        size=grid,
        mode=mode,
        antialias=bool(antialias),
        align_corners=False,
    )
    return resized[0].flatten(1).T.to(table.dtype)  # [resized width]


def resize_positions(
    positions: Float[Tensor, "token width"], config: VisionConfig, image_size: int
) -> tuple[Float[Tensor, "other_token width"], VisionConfig]:
    """Positions and configuration for square pictures of another size.

    Args:
        positions: of the configuration.
        config: of the model that the positions belong to.
        image_size: pixels, height and width of the pictures to come.

    Returns:
        Both; what stands before the patches keeps its row.

    Raises:
        SettingsError: a picture of that size has no patch.
    """
    resized = replace(config, image_size=image_size)
    side = math.isqrt(resized.num_patches)
    prefix, table = positions[: config.num_prefix], positions[config.num_prefix :]
    grown = resize_grid(table, (side, side), config.position_resize)  # [patch width]
    return torch.cat([prefix, grown]), resized
