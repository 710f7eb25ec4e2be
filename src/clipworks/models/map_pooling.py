"""Multi-head attention pooling: a learnt query collects a picture's vector from its tokens.

The head of Zhai et al., arXiv 2106.04560, after Lee et al., arXiv 1810.00825; SigLIP's pictures
are pooled by it.

Axes: image (pictures in a batch), token, head, channel (of one head), width (of the residual
stream: head x channel).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from clipworks.models.attention import attend
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
        self.attn = ProbeAttention(width, config.heads)
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
        found = self.hook_attn_out(self.attn(self.probe, x, mask))  # [image 1 width]
        found = found + self.hook_mlp_out(self.mlp(self.ln(found)))  # [image 1 width]
        return found[:, 0]


class ProbeAttention(nn.Module):
    """One query, the same for every picture, looks at every token."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.hook_q = Site()
        self.hook_k = Site()
        self.hook_v = Site()
        self.hook_attn_scores = Site()
        self.hook_pattern = Site()
        self.hook_z = Site()

    def forward(
        self,
        probe: Float[Tensor, "width"],
        x: Float[Tensor, "image token width"],
        mask: Bool[Tensor, "image 1 1 token"] | None = None,
    ) -> Float[Tensor, "image 1 width"]:
        """Attend; the sites are those of `Attention`."""
        query = self.q(probe).expand(x.shape[0], 1, -1)  # [image 1 width]
        q = query.unflatten(2, (self.heads, -1))  # [image 1 head channel]
        k, v = self.kv(x).unflatten(2, (2, self.heads, -1)).unbind(2)  # [image token head channel]
        z = attend(
            self.hook_q(q),
            self.hook_k(k),
            self.hook_v(v),
            mask=mask,
            scores_site=self.hook_attn_scores,
            pattern_site=self.hook_pattern,
        )
        z = self.hook_z(z)  # [image 1 head channel]
        return self.out(z.flatten(2))  # [image 1 width]
