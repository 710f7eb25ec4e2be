"""Multi-head attention.

Axes: batch (pictures or texts), token, query and key (tokens, in their two parts), head,
channel (of one head), pair (of channels), width (of the residual stream), dim (of queries that do
not come from it).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch reader knows
from jaxtyping import Bool, Float
from torch import Tensor, nn

from clipworks.models.config import BlockExtra
from clipworks.models.norms import Norm
from clipworks.models.rotary import rotate
from clipworks.models.sites import Site


class Attention(nn.Module):
    """Every token looks at every token, or at those up to itself where `causal`."""

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        causal: bool,
        extras: tuple[BlockExtra, ...] = (),
        norm_eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.causal = causal
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        channels = width // heads
        self.norm_q = Norm(channels, norm_eps) if "qk_norm" in extras else nn.Identity()
        self.norm_k = Norm(channels, norm_eps) if "qk_norm" in extras else nn.Identity()
        self.norm_z = Norm(width, norm_eps) if "inner_norm" in extras else nn.Identity()
        self.head_scale = nn.Parameter(torch.ones(heads)) if "head_scale" in extras else None
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
        rotation: Float[Tensor, "2 token 1 pair"] | None = None,
    ) -> Float[Tensor, "batch token width"]:
        """Attend; `hook_q` and `hook_k` show what is multiplied: normalised, and rotated.

        Args:
            x: the tokens.
            mask: true where a query may look at a key; None lets all.
            rotation: of queries and keys, as `rotary.rotation_of` makes it; None for none.
        """
        qkv = self.qkv(x).unflatten(2, (3, self.heads, -1))  # [batch token 3 head channel]
        q, k, v = qkv.unbind(2)  # each [batch token head channel]
        q, k = self.norm_q(q), self.norm_k(k)
        if rotation is not None:
            q, k = rotate(q, rotation), rotate(k, rotation)
        z = attend(
            self.hook_q(q),
            self.hook_k(k),
            self.hook_v(v),
            mask=mask,
            causal=self.causal,
            scores_site=self.hook_attn_scores,
            pattern_site=self.hook_pattern,
        )
        if self.head_scale is not None:
            z = z * self.head_scale[:, None]
        z = self.hook_z(z)  # [batch token head channel]
        return self.out(self.norm_z(z.flatten(2)))  # [batch token width]


class CrossAttention(nn.Module):
    """Queries from elsewhere look at every token, and none at another.

    Args:
        width: of the tokens.
        dim: of the queries, and of what they draw.
        heads: they share `dim` equally.
        has_out: whether a linear layer mixes what the heads draw.
    """

    def __init__(self, width: int, dim: int, heads: int, *, has_out: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(width, 2 * dim)
        self.out = nn.Linear(dim, dim) if has_out else nn.Identity()
        self.hook_q = Site()
        self.hook_k = Site()
        self.hook_v = Site()
        self.hook_attn_scores = Site()
        self.hook_pattern = Site()
        self.hook_z = Site()

    def forward(
        self,
        queries: Float[Tensor, "#batch query dim"],
        x: Float[Tensor, "batch key width"],
        mask: Bool[Tensor, "batch 1 #query key"] | None = None,
    ) -> Float[Tensor, "batch query dim"]:
        """Attend.

        Args:
            queries: one set for all, or one for each of the batch.
            x: the tokens.
            mask: true where a query may look at a key; None lets all.
        """
        q = self.q(queries).unflatten(2, (self.heads, -1))  # [#batch query head channel]
        q = q.expand(x.shape[0], -1, -1, -1)  # [batch query head channel]
        kv = self.kv(x).unflatten(2, (2, self.heads, -1))  # [batch key 2 head channel]
        k, v = kv.unbind(2)  # each [batch key head channel]
        z = attend(
            self.hook_q(q),
            self.hook_k(k),
            self.hook_v(v),
            mask=mask,
            scores_site=self.hook_attn_scores,
            pattern_site=self.hook_pattern,
        )
        z = self.hook_z(z)  # [batch query head channel]
        return self.out(z.flatten(2))  # [batch query dim]


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
