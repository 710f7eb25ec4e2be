"""First weights, for training from scratch (Radford et al., arXiv 2103.00020, section 2.4).

The spreads are those of GPT-2 (Radford et al., 2019): what is added to the residual stream by
2 x layers branches is scaled down so that their sum keeps its size.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from clipworks.models.blocks import Block, LayerScale, Norm
from clipworks.models.map_pooling import MapPool
from clipworks.models.text import TextTower
from clipworks.models.vision import VisionTower

_TEMPERATURE = 0.07  # section 2.4 of the paper
_SIGMOID_SCALE = 10.0  # with the bias: Zhai et al., arXiv 2303.15343, section 3.1
_SIGMOID_BIAS = -10.0
_LAYER_SCALE = 0.1  # Touvron et al., arXiv 2103.17239, for up to 18 layers


def init_tower(tower: VisionTower | TextTower, generator: torch.Generator) -> None:
    """Fill every parameter of a tower."""
    width = tower.config.width
    if isinstance(tower, VisionTower):
        if tower.class_token is not None:
            nn.init.normal_(tower.class_token, std=width**-0.5, generator=generator)
        nn.init.normal_(tower.positions, std=width**-0.5, generator=generator)
        _init_linear(tower.patch_embed, tower.patch_embed.weight[0].numel() ** -0.5, generator)
    else:
        nn.init.normal_(tower.token_embed.weight, std=0.02, generator=generator)
        nn.init.normal_(tower.positions, std=0.01, generator=generator)
    for module in tower.modules():
        if isinstance(module, Norm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, LayerScale):
            nn.init.constant_(module.gamma, _LAYER_SCALE)
        elif isinstance(module, Block):
            _init_block(module, width, tower.config.layers, generator)
        elif isinstance(module, MapPool):
            _init_map_pool(module, width, generator)
    if isinstance(tower.projection, nn.Linear):
        _init_linear(tower.projection, width**-0.5, generator)


def init_scores(logit_scale: Tensor, logit_bias: Tensor | None) -> None:
    """Set the scale, and the bias where there is one."""
    if logit_bias is None:
        nn.init.constant_(logit_scale, math.log(1 / _TEMPERATURE))
    else:
        nn.init.constant_(logit_scale, math.log(_SIGMOID_SCALE))
        nn.init.constant_(logit_bias, _SIGMOID_BIAS)


def _init_block(block: Block, width: int, layers: int, generator: torch.Generator) -> None:
    branch_std = width**-0.5 * (2 * layers) ** -0.5
    _init_linear(block.attn.qkv, width**-0.5, generator)
    _init_linear(block.attn.out, branch_std, generator)
    _init_linear(block.mlp.up, (2 * width) ** -0.5, generator)
    _init_linear(block.mlp.down, branch_std, generator)


def _init_map_pool(pool: MapPool, width: int, generator: torch.Generator) -> None:
    nn.init.normal_(pool.probe, std=width**-0.5, generator=generator)
    for layer in (pool.attn.q, pool.attn.kv, pool.attn.out, pool.mlp.down):
        _init_linear(layer, width**-0.5, generator)
    _init_linear(pool.mlp.up, (2 * width) ** -0.5, generator)


def _init_linear(layer: nn.Linear | nn.Conv2d, std: float, generator: torch.Generator) -> None:
    nn.init.normal_(layer.weight, std=std, generator=generator)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
