"""A transformer block, the same in both towers, and its parts.

Axes: batch (pictures or texts), token, width (of the residual stream), unit (of the MLP).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch reader knows
from jaxtyping import Bool, Float
from torch import Tensor, nn

from clipworks.models.attention import Attention
from clipworks.models.config import Activation, TextConfig, VisionConfig
from clipworks.models.norms import Norm
from clipworks.models.sites import Site


def activate(
    x: Float[Tensor, "batch token unit"], activation: Activation
) -> Float[Tensor, "batch token unit"]:
    """GELU (Hendrycks and Gimpel, arXiv 1606.08415) or one of its two approximations."""
    match activation:
        case "gelu":
            return F.gelu(x)
        case "gelu_tanh":
            return F.gelu(x, approximate="tanh")
        case "quick_gelu":
            return x * torch.sigmoid(1.702 * x)


class Mlp(nn.Module):
    """Two linear layers with the activation between them."""

    def __init__(self, config: VisionConfig | TextConfig) -> None:
        super().__init__()
        self.activation: Activation = config.activation
        normalizes = "mlp_norm" in config.block_extras
        self.up = nn.Linear(config.width, config.mlp_width)
        self.norm = Norm(config.mlp_width, config.norm_eps) if normalizes else nn.Identity()
        self.down = nn.Linear(config.mlp_width, config.width)
        self.hook_pre = Site()
        self.hook_post = Site()

    def forward(self, x: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch token width"]:
        """Each token on its own."""
        hidden = self.hook_pre(self.up(x))  # [batch token unit]
        return self.down(self.norm(self.hook_post(activate(hidden, self.activation))))


class LayerScale(nn.Module):
    """A learnt factor for each channel (Touvron et al., arXiv 2103.17239, equation 4)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch token width"]:
        """Scale each channel."""
        return x * self.gamma


class Block(nn.Module):
    """Attention, then the MLP, each on a normalised copy of the stream and added back to it."""

    def __init__(self, config: VisionConfig | TextConfig, *, causal: bool) -> None:
        super().__init__()
        width, extras = config.width, config.block_extras
        self.ln1 = Norm(width, config.norm_eps)
        self.attn = Attention(
            width, config.heads, causal=causal, extras=extras, norm_eps=config.norm_eps
        )
        self.attn_norm = Norm(width, config.norm_eps) if "attn_norm" in extras else nn.Identity()
        self.attn_scale = LayerScale(width) if config.layer_scale else nn.Identity()
        self.ln2 = Norm(width, config.norm_eps)
        self.mlp = Mlp(config)
        self.mlp_scale = LayerScale(width) if config.layer_scale else nn.Identity()
        self.hook_resid_pre = Site()
        self.hook_attn_out = Site()
        self.hook_resid_mid = Site()
        self.hook_mlp_out = Site()
        self.hook_resid_post = Site()

    def forward(
        self,
        x: Float[Tensor, "batch token width"],
        mask: Bool[Tensor, "batch 1 #query key"] | None = None,
        rotation: Float[Tensor, "2 token 1 pair"] | None = None,
    ) -> Float[Tensor, "batch token width"]:
        """Write both branches into the residual stream; `Attention.forward` says more."""
        x = self.hook_resid_pre(x)
        attended = self.attn_norm(self.attn(self.ln1(x), mask, rotation))
        x = x + self.hook_attn_out(self.attn_scale(attended))
        x = self.hook_resid_mid(x)
        x = x + self.hook_mlp_out(self.mlp_scale(self.mlp(self.ln2(x))))
        return self.hook_resid_post(x)
