"""Pooling by learnt queries, as open_clip's CoCa has it (Yu et al., arXiv 2205.01917, section 3.2).

Axes: batch (pictures), token, query, head, channel (of one head), width (of the tokens), dim (of
the queries and of what is pooled).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from clipworks.models.attention import attend
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
        self.heads = heads
        self.queries = nn.Parameter(torch.zeros(num_queries, dim))
        self.norm_q = Norm(dim, _NORM_EPS)
        self.norm_k = Norm(width, _NORM_EPS)
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(width, 2 * dim)
        self.out = nn.Linear(dim, dim)
        self.hook_q = Site()
        self.hook_k = Site()
        self.hook_v = Site()
        self.hook_attn_scores = Site()
        self.hook_pattern = Site()
        self.hook_z = Site()
        self.hook_out = Site()

    def forward(self, x: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch query dim"]:
        """What the queries draw; no query sees another."""
        q = self.q(self.norm_q(self.queries)).unflatten(1, (self.heads, -1))  # [query head channel]
        q = q.expand(x.shape[0], -1, -1, -1)  # [batch query head channel]
        kv = self.kv(self.norm_k(x)).unflatten(2, (2, self.heads, -1))
        k, v = kv.unbind(2)  # each [batch token head channel]
        z = attend(
            self.hook_q(q),
            self.hook_k(k),
            self.hook_v(v),
            scores_site=self.hook_attn_scores,
            pattern_site=self.hook_pattern,
        )
        z = self.hook_z(z)  # [batch query head channel]
        return self.hook_out(self.out(z.flatten(2)))  # [batch query dim]
