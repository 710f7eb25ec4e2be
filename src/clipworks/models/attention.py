"""Multi-head self-attention.

Axes: batch (pictures or texts), token, query and key (tokens, in their two parts), head,
channel (of one head), width (of the residual stream: head x channel).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch reader knows
from jaxtyping import Float
from torch import Tensor, nn

from clipworks.models.sites import Site


class Attention(nn.Module):
    """Every token looks at every token, or at those up to itself where `causal`."""

    def __init__(self, width: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.heads = heads
        self.causal = causal
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.hook_q = Site()
        self.hook_k = Site()
        self.hook_v = Site()
        self.hook_attn_scores = Site()
        self.hook_pattern = Site()
        self.hook_z = Site()

    def forward(self, x: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch token width"]:
        """Attend.

        The fused kernel never forms the pattern, so whoever watches it gets the plain formula.
        """
        qkv = self.qkv(x).unflatten(2, (3, self.heads, -1))  # [batch token 3 head channel]
        q, k, v = qkv.unbind(2)  # each [batch token head channel]
        q = self.hook_q(q).transpose(1, 2)  # [batch head query channel]
        k = self.hook_k(k).transpose(1, 2)  # [batch head key channel]
        v = self.hook_v(v).transpose(1, 2)  # [batch head key channel]
        if self.hook_pattern.watched or self.hook_attn_scores.watched:
            z = self._pattern(q, k) @ v  # [batch head query channel]
        else:
            z = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        z = self.hook_z(z.transpose(1, 2))  # [batch token head channel]
        return self.out(z.flatten(2))  # [batch token width]

    def _pattern(
        self,
        q: Float[Tensor, "batch head query channel"],
        k: Float[Tensor, "batch head key channel"],
    ) -> Float[Tensor, "batch head query key"]:
        """Equation 1 of Vaswani et al., 2017 (arXiv 1706.03762), up to the values."""
        scores = q @ k.transpose(2, 3) * q.shape[-1] ** -0.5  # [batch head query key]
        if self.causal:
            later = torch.ones_like(scores[0, 0], dtype=torch.bool).triu(1)  # [query key]
            scores = scores.masked_fill(later, -torch.inf)
        return self.hook_pattern(self.hook_attn_scores(scores).softmax(dim=-1))
