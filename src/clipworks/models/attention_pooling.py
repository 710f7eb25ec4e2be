"""Pooling by learnt queries, as open_clip's CoCa has it (Yu et al., arXiv 2205.01917, section 3.2).

Axes: batch (pictures), token, query, width (of the tokens), dim (of the queries and of what is
pooled).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from clipworks.models.attention import CrossAttention
from clipworks.models.norms import Norm
from clipworks.models.sites import Site

_NORM_EPS = 1e-5  # open_clip has no other, whatever the tower's own norms have


class AttentionPool(nn.Module):
    """Each learnt query draws one vector from the tokens.

    Args:
        width: of the tokens.
        dim: of the queries, and of what they draw.
        heads: attention heads; they share `dim` equally.
        num_queries: how many vectors are drawn.
    """

    def __init__(self, width: int, dim: int, *, heads: int, num_queries: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.zeros(num_queries, dim))
        self.norm_q = Norm(dim, _NORM_EPS)
        self.norm_k = Norm(width, _NORM_EPS)
        self.attn = CrossAttention(width, dim, heads)
        self.hook_attn_out = Site()

    def forward(self, x: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch query dim"]:
        """What the queries draw; no query sees another."""
        queries = self.norm_q(self.queries)[None]  # [1 query dim]
        return self.hook_attn_out(self.attn(queries, self.norm_k(x)))
