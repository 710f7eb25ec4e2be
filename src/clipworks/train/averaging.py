"""A running mean of the weights, which generalises better than the last ones."""

from __future__ import annotations

import copy

import torch
from torch import nn


class WeightAverage:
    """An exponential moving average (Polyak and Juditsky, 1992, in its exponential form).

    After step t: mean <- d mean + (1 - d) weights, with d = min(decay, (1 + t) / (10 + t)), so
    that the first weights, which are random, are soon forgotten.

    Attributes:
        model: a copy that holds the mean; never trained itself.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after step `step`, counted from 0."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for mean, weights in zip(self.model.parameters(), model.parameters(), strict=True):
            mean.lerp_(weights, 1 - decay)
