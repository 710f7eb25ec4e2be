"""The normalisation of the transformers.

Axes: width (of what is normalised).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch reader knows
from jaxtyping import Float
from torch import Tensor, nn

from clipworks.models.sites import Site


class Norm(nn.Module):
    """LayerNorm, with sites for its divisor and its output."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.hook_scale = Site()
        self.hook_normalized = Site()

    def forward(self, x: Float[Tensor, "*axes width"]) -> Float[Tensor, "*axes width"]:
        """Centre, divide by the standard deviation, scale and shift each vector."""
        if self.hook_scale.watched:
            centred = x - x.mean(dim=-1, keepdim=True)
            variance = centred.square().mean(dim=-1, keepdim=True)  # [*axes 1]
            scale = self.hook_scale((variance + self.eps).sqrt())
            return self.hook_normalized(centred / scale * self.weight + self.bias)
        normalized = F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)
        return self.hook_normalized(normalized)
