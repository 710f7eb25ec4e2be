"""Long-CLIP's tables of positions (Zhang et al., arXiv 2403.15378, section 3.1).

The first 20 positions of CLIP's 77 are well trained and stay; the others are stretched fourfold.

Axes: position (of the old table), stretched (of the new one), width (of the residual stream).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from clipworks.errors import CheckpointError, SettingsError

KEPT_POSITIONS = 20
STRETCH_FACTOR = 4


def stretch_positions(
    table: Float[Tensor, "position width"],
    *,
    kept: int = KEPT_POSITIONS,
    factor: int = STRETCH_FACTOR,
) -> Float[Tensor, "stretched width"]:
    """A table for a longer context: 77 positions become 248.

    Between two old positions `factor - 1` new ones are interpolated linearly; those after the last
    old one go on in the direction of its step from the one before.

    Args:
        table: of the short context, at least two positions longer than `kept`.
        kept: positions at the beginning that stay as they are.
        factor: new positions for each of the others.

    Returns:
        `kept + factor * (position - kept)` positions.

    Raises:
        SettingsError: the table is too short, or a number makes no sense.
    """
    if kept < 0 or factor < 1 or len(table) < kept + 2:
        raise SettingsError(
            f"{len(table)} positions, {kept} of them kept, stretched by {factor}: expected at "
            "least two to stretch, and a factor of at least 1"
        )
    old = table[kept:]  # [position-kept width]
    steps = torch.diff(old, dim=0)  # [position-kept-1 width]
    steps = torch.cat([steps, steps[-1:]])  # [position-kept width]
    parts = torch.arange(factor, dtype=table.dtype, device=table.device) / factor  # [factor]
    between = old[:, None] + parts[:, None] * steps[:, None]  # [position-kept factor width]
    return torch.cat([table[:kept], between.flatten(0, 1)])  # [stretched width]


def join_positions(
    frozen: Float[Tensor, "position width"], trained: Float[Tensor, "position width"]
) -> Float[Tensor, "position width"]:
    """The table that a published Long-CLIP reads with.

    Its files hold two tables of the whole length: the first positions are those of the one that was
    frozen, the rest those of the one that was trained.

    Raises:
        CheckpointError: the tables are of different shapes.
    """
    if frozen.shape != trained.shape:
        raise CheckpointError(
            f"positional_embedding has the shape {list(frozen.shape)}, positional_embedding_res "
            f"{list(trained.shape)}: expected the same"
        )
    return torch.cat([frozen[:KEPT_POSITIONS], trained[KEPT_POSITIONS:]])
