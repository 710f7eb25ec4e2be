"""Multi-head attention.

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
        mask: Bool[Tensor, "batch 1 #query key"] | None = None,
    ) -> Float[Tensor, "batch token width"]:
        """Attend.

        Args:
            x: the tokens.
            mask: true where a query may look at a key; None lets all.
        """
        qkv = self.qkv(x).unflatten(2, (3, self.heads, -1))  # [batch token 3 head channel]
        q, k, v = qkv.unbind(2)  # each [batch token head channel]
        z = attend(
            self.hook_q(q),
            self.hook_k(k),
            self.hook_v(v),
            mask=mask,
            causal=self.causal,
            scores_site=self.hook_attn_scores,
            pattern_site=self.hook_pattern,
        )
        z = self.hook_z(z)  # [batch token head channel]
        return self.out(z.flatten(2))  # [batch token width]


def attend(
    q: Float[Tensor, "batch query head channel"],
    k: Float[Tensor, "batch key head channel"],
    v: Float[Tensor, "batch key head channel"],
    *,
    scores_site: Site,
    pattern_site: Site,
    mask: Bool[Tensor, "batch 1 #query key"] | None = None,
    causal: bool = False,
) -> Float[Tensor, "batch query head channel"]:
    """The mean of the values, weighted by how well each key fits a query.

    The fused kernel never forms the pattern, so whoever watches it gets the plain formula.

    Args:
        q: what each query asks for.
        k: what each key offers.
        v: what each key gives.
        scores_site: shown the products, scaled and masked.
        pattern_site: shown the weights.
        mask: true where a query may look at a key; None lets all.
        causal: whether a query looks no further than at its own position, whatever the mask says.
    """
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))  # each [batch head token channel]
    watched = scores_site.watched or pattern_site.watched
    if causal and (watched or mask is not None):  # the kernel takes either a mask or causality
        up_to_itself = q.new_ones(q.shape[2], k.shape[2], dtype=torch.bool).tril()  # [query key]
        mask = up_to_itself if mask is None else mask & up_to_itself
    if watched:
        z = _pattern(q, k, mask, scores_site, pattern_site) @ v  # [batch head query channel]
    else:
        z = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=causal and mask is None
        )
    return z.transpose(1, 2)  # [batch query head channel]


def _pattern(
    q: Float[Tensor, "batch head query channel"],
    k: Float[Tensor, "batch head key channel"],
    mask: Bool[Tensor, "*axes #query key"] | None,
    scores_site: Site,
    pattern_site: Site,
) -> Float[Tensor, "batch head query key"]:
    """Equation 1 of Vaswani et al., 2017 (arXiv 1706.03762), up to the values."""
    scores = q @ k.transpose(2, 3) * q.shape[-1] ** -0.5  # [batch head query key]
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return pattern_site(scores_site(scores).softmax(dim=-1))
