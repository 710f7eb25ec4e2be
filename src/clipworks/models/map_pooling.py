"""Multi-head attention pooling: a learnt query collects a picture's vector from its tokens.

The head of Zhai et al., arXiv 2106.04560, after Lee et al., arXiv 1810.00825; SigLIP's pictures
are pooled by it.

Axes: image (pictures in a batch), token, width (of the residual stream).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from clipworks.models.attention import CrossAttention
from clipworks.models.blocks import Mlp
from clipworks.models.config import VisionConfig
from clipworks.models.norms import Norm
from clipworks.models.sites import Site


class MapPool(nn.Module):
    """Attention from the probe, then an MLP on what it found."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        width = config.width
        self.probe = nn.Parameter(torch.zeros(width))
        self.attn = CrossAttention(width, width, config.heads)
        self.ln = Norm(width, config.norm_eps)
        self.mlp = Mlp(config)
        self.hook_attn_out = Site()
        self.hook_mlp_out = Site()

    def forward(
        self,
        x: Float[Tensor, "image token width"],
        mask: Bool[Tensor, "image 1 1 token"] | None = None,
    ) -> Float[Tensor, "image width"]:
        """One vector for each picture.

        Args:
            x: the tokens after the last LayerNorm.
            mask: true for those that belong to the picture; None where all do.
        """
        found = self.hook_attn_out(self.attn(self.probe[None, None], x, mask))  # [image 1 width]
        found = found + self.hook_mlp_out(self.mlp(self.ln(found)))  # [image 1 width]
        return found[:, 0]
