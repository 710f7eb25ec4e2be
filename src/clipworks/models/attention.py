"""Multi-head self-attention.

Axes: batch (pictures or texts), token, query and key (tokens, in their two parts), head,
channel (of one head), width (of the residual stream: head x channel).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch reader knows
from jaxtyping import Bool, Float
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

    def forward(
        self,
        x: Float[Tensor, "batch token width"],
        mask: Bool[Tensor, "batch token"] | None = None,
    ) -> Float[Tensor, "batch token width"]:
        """Attend.

        The fused kernel never forms the pattern, so whoever watches it gets the plain formula.

        Args:
            x: the tokens.
            mask: which of them are there to be looked at; None for all. Not for causal attention.
        """
        assert mask is None or not self.causal
        qkv = self.qkv(x).unflatten(2, (3, self.heads, -1))  # [batch token 3 head channel]
        q, k, v = qkv.unbind(2)  # each [batch token head channel]
        q = self.hook_q(q).transpose(1, 2)  # [batch head query channel]
        k = self.hook_k(k).transpose(1, 2)  # [batch head key channel]
        v = self.hook_v(v).transpose(1, 2)  # [batch head key channel]
        looked_at = None if mask is None else mask[:, None, None]  # [batch 1 1 key]
        if self.hook_pattern.watched or self.hook_attn_scores.watched:
            scores = self.hook_attn_scores(self._scores(q, k, looked_at))
            z = self.hook_pattern(scores.softmax(dim=-1)) @ v  # [batch head query channel]
        else:
            z = F.scaled_dot_product_attention(q, k, v, looked_at, is_causal=self.causal)
        z = self.hook_z(z.transpose(1, 2))  # [batch token head channel]
        return self.out(z.flatten(2))  # [batch token width]

    def _scores(
        self,
        q: Float[Tensor, "batch head query channel"],
        k: Float[Tensor, "batch head key channel"],
        looked_at: Bool[Tensor, "batch 1 1 key"] | None,
    ) -> Float[Tensor, "batch head query key"]:
        if self.causal:
            rows, columns = q.shape[2], k.shape[2]
            looked_at = torch.ones(rows, columns, dtype=torch.bool, device=q.device).tril()
        return attention_scores(q, k, looked_at)


def attention_scores(
    q: Float[Tensor, "batch head query channel"],
    k: Float[Tensor, "batch head key channel"],
    looked_at: Bool[Tensor, "*any _ key"] | None,
) -> Float[Tensor, "batch head query key"]:
    """Equation 1 of Vaswani et al., 2017 (arXiv 1706.03762), up to the softmax.

    Args:
        q: queries.
        k: keys.
        looked_at: false where a query may not look at a key; None where it may at all.
    """
    scores = q @ k.transpose(2, 3) * q.shape[-1] ** -0.5  # [batch head query key]
    return scores if looked_at is None else scores.masked_fill(~looked_at, -torch.inf)
