"""Multi-head attention pooling: a learnt query collects a picture's vector from its tokens.

The head of Zhai et al., arXiv 2106.04560, after Lee et al., arXiv 1810.00825; SigLIP's pictures
are pooled by it.

Axes: image (pictures in a batch), token, query (of which there is one) and key (tokens), head,
channel (of one head), width (of the residual stream: head x channel).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch reader knows
from jaxtyping import Bool, Float
from torch import Tensor, nn

from clipworks.models.attention import attention_scores
from clipworks.models.blocks import Mlp, Norm
from clipworks.models.config import VisionConfig
from clipworks.models.sites import Site


class MapPool(nn.Module):
    """Attention from the probe, then an MLP on what it found."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        width = config.width
        self.probe = nn.Parameter(torch.zeros(width))
        self.attn = ProbeAttention(width, config.heads)
        self.ln = Norm(width, config.norm_eps)
        self.mlp = Mlp(width, config.mlp_width, config.activation)
        self.hook_attn_out = Site()
        self.hook_mlp_out = Site()

    def forward(
        self,
        x: Float[Tensor, "image token width"],
        mask: Bool[Tensor, "image token"] | None = None,
    ) -> Float[Tensor, "image width"]:
        """One vector for each picture.

        Args:
            x: the tokens after the last LayerNorm.
            mask: which of them belong to the picture; None for all.
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
        mask: Bool[Tensor, "image token"] | None = None,
    ) -> Float[Tensor, "image 1 width"]:
        """Attend; the sites are those of `Attention`, and cost as little."""
        query = self.q(probe).expand(x.shape[0], 1, -1)  # [image 1 width]
        q = query.unflatten(2, (self.heads, -1))  # [image 1 head channel]
        k, v = self.kv(x).unflatten(2, (2, self.heads, -1)).unbind(2)  # [image key head channel]
        q = self.hook_q(q).transpose(1, 2)  # [image head 1 channel]
        k = self.hook_k(k).transpose(1, 2)  # [image head key channel]
        v = self.hook_v(v).transpose(1, 2)  # [image head key channel]
        looked_at = None if mask is None else mask[:, None, None]  # [image 1 1 key]
        if self.hook_pattern.watched or self.hook_attn_scores.watched:
            scores = self.hook_attn_scores(attention_scores(q, k, looked_at))
            z = self.hook_pattern(scores.softmax(dim=-1)) @ v  # [image head 1 channel]
        else:
            z = F.scaled_dot_product_attention(q, k, v, looked_at)
        z = self.hook_z(z.transpose(1, 2))  # [image 1 head channel]
        return self.out(z.flatten(2))  # [image 1 width]
