"""Patch dropout: which patches of each picture the image tower sees.

Axes: image (pictures in the batch), kept (patches that stay), patch (all of them).
"""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from clipworks.train.config import TrainConfig


def kept_patches_at(
    step: int, config: TrainConfig, *, num_images: int, num_patches: int
) -> Int[Tensor, "image kept"] | None:
    """A random choice for each picture (Li et al., arXiv 2212.00794), or None to keep all.

    The choice depends on the seed and the step alone.
    """
    if config.patch_keep == 1 or step >= config.steps - config.full_patch_steps:
        return None
    kept = max(1, round(config.patch_keep * num_patches))
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
    noise = torch.rand(num_images, num_patches, generator=generator)  # [image patch]
    return noise.topk(kept, dim=1).indices
