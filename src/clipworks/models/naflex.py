"""Pictures of any aspect as rows of patches (NaFlex: Tschannen et al., arXiv 2502.14786, 2.4.2).

Axes: image (pictures in a batch), patch (row by row from the top left, then padding), value (the
pixels of a patch: row by row, the three channels of a pixel together), side (patches from top to
bottom, patches from left to right), width (of the residual stream).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from clipworks.errors import InputError
from clipworks.models.config import PositionResize
from clipworks.models.positions import resize_grid


@final
@dataclass(frozen=True)
class PatchBatch:
    """Pictures cut into patches, and padded to the longest.

    Attributes:
        patches: each picture's own, then padding, whose content is not looked at.
        grids: how many patches a picture has, downwards and across.

    Raises:
        InputError: a picture without patches, or with more than there is room for.
    """

    patches: Float[Tensor, "image patch value"]
    grids: Int[Tensor, "image side"]

    def __post_init__(self) -> None:
        if self.patches.ndim != 3 or tuple(self.grids.shape) != (len(self.patches), 2):
            raise InputError(
                f"patches have the shape {list(self.patches.shape)} and grids "
                f"{list(self.grids.shape)}: expected [image, patch, value] and [image, 2]"
            )
        counts, room = self.grids.prod(dim=1), self.patches.shape[1]
        if bool((self.grids < 1).any() | (counts > room).any()):
            raise InputError(
                f"grids of {self.grids.tolist()} patches: expected 1 to {room} patches a picture"
            )

    @property
    def mask(self) -> Bool[Tensor, "image patch"]:
        """Where a patch is one of the picture's, not padding."""
        places = torch.arange(self.patches.shape[1], device=self.patches.device)  # [patch]
        return places < self.grids.prod(dim=1, keepdim=True)


def cut_patches(pictures: Sequence[Float[Tensor, "3 _ _"]], patch_size: int) -> PatchBatch:
    """Cut normalised pictures into patches.

    Args:
        pictures: each side a multiple of the patch's, but not all of one size.
        patch_size: pixels, height and width of a patch.

    Raises:
        InputError: no picture at all, or one that cannot be cut without a rest.
    """
    if not pictures:
        raise InputError("expected at least one picture to cut into patches")
    cut, grids = [], []
    for picture in pictures:
        channels, height, width = picture.shape
        if channels != 3 or height % patch_size or width % patch_size:
            raise InputError(
                f"a picture of the shape {list(picture.shape)} is not 3 channels of whole patches "
                f"of {patch_size} x {patch_size} pixels"
            )
        grid = (height // patch_size, width // patch_size)
        squares = picture.unflatten(2, (grid[1], patch_size)).unflatten(1, (grid[0], patch_size))
        # [channel row inner_row column inner_column] to [row column inner_row inner_column channel]
        cut.append(squares.permute(1, 3, 2, 4, 0).flatten(2).flatten(0, 1))  # [patch value]
        grids.append(grid)
    patches = torch.nn.utils.rnn.pad_sequence(cut, batch_first=True)  # [image patch value]
    return PatchBatch(patches, torch.tensor(grids, device=patches.device))


def project_patches(
    batch: PatchBatch,
    weight: Float[Tensor, "width 3 patch_height patch_width"],
    bias: Float[Tensor, "width"] | None,
) -> Float[Tensor, "image patch width"]:
    """What the convolution of a patch embedding makes of patches that are cut already.

    Raises:
        InputError: patches of another size.
    """
    rows = weight.permute(0, 2, 3, 1).flatten(1)  # [width value]
    if batch.patches.shape[2] != rows.shape[1]:
        raise InputError(
            f"patches of {batch.patches.shape[2]} numbers, but this model takes {rows.shape[1]}"
        )
    return torch.nn.functional.linear(batch.patches, rows, bias)


def positions_of(
    batch: PatchBatch, table: Float[Tensor, "place width"], how: PositionResize
) -> Float[Tensor, "image patch width"]:
    """The table stretched to each picture's own grid; padding has the first patch's position."""
    stretched = []
    for rows, columns in batch.grids.tolist():
        own = resize_grid(table, (rows, columns), how)  # [rows*columns width]
        padding = own[:1].expand(batch.patches.shape[1] - len(own), -1)
        stretched.append(torch.cat([own, padding]))
    return torch.stack(stretched)  # [image patch width]
