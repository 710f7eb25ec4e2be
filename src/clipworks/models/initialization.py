"""First weights, for training from scratch (Radford et al., arXiv 2103.00020, section 2.4).

The spreads are those of GPT-2 (Radford et al., 2019): what is added to the residual stream by
2 x layers branches is scaled down so that their sum keeps its size.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from clipworks.models.attention_pooling import AttentionPool
from clipworks.models.blocks import Block, LayerScale
from clipworks.models.norms import Norm
from clipworks.models.resnet import BatchNorm, Bottleneck, MeanQueryPool, ResNetTower
from clipworks.models.text import TextTower
from clipworks.models.vision import VisionTower

_TEMPERATURE = 0.07  # section 2.4 of the paper
_SIGMOID_SCALE = 10.0  # with the bias: Zhai et al., arXiv 2303.15343, section 3.1
_SIGMOID_BIAS = -10.0
_LAYER_SCALE = 0.1  # Touvron et al., arXiv 2103.17239, for up to 18 layers


def init_tower(tower: VisionTower | ResNetTower | TextTower, generator: torch.Generator) -> None:
    """Fill every parameter of a tower, and the running figures of its batch normalisations."""
    if isinstance(tower, ResNetTower):
        _init_resnet(tower, generator)
        return
    width = tower.config.width
    if isinstance(tower, VisionTower):
        nn.init.normal_(tower.class_token, std=width**-0.5, generator=generator)
        nn.init.normal_(tower.positions, std=width**-0.5, generator=generator)
        _init_linear(tower.patch_embed, tower.patch_embed.weight[0].numel() ** -0.5, generator)
    else:
        nn.init.normal_(tower.token_embed.weight, std=0.02, generator=generator)
        for table in (tower.positions, tower.class_token):
            if table is not None:
                nn.init.normal_(table, std=0.01, generator=generator)
    for module in tower.modules():
        _init_module(module, width, tower.config.layers, generator)
    if isinstance(tower.projection, nn.Linear):
        _init_linear(tower.projection, tower.projection.in_features**-0.5, generator)


def _init_module(module: nn.Module, width: int, layers: int, generator: torch.Generator) -> None:
    match module:
        case Norm():
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        case LayerScale():
            nn.init.constant_(module.gamma, _LAYER_SCALE)
        case Block():
            _init_block(module, width, layers, generator)
        case AttentionPool():
            nn.init.normal_(module.queries, generator=generator)
            for layer in (module.q, module.kv, module.out):
                _init_linear(layer, layer.in_features**-0.5, generator)


def init_scores(logit_scale: Tensor, logit_bias: Tensor | None) -> None:
    """Set the scale, and the bias where there is one."""
    if logit_bias is None:
        nn.init.constant_(logit_scale, math.log(1 / _TEMPERATURE))
    else:
        nn.init.constant_(logit_scale, math.log(_SIGMOID_SCALE))
        nn.init.constant_(logit_bias, _SIGMOID_BIAS)


def _init_block(block: Block, width: int, layers: int, generator: torch.Generator) -> None:
    branch_std = width**-0.5 * (2 * layers) ** -0.5
    if block.attn.head_scale is not None:
        nn.init.ones_(block.attn.head_scale)
    _init_linear(block.attn.qkv, width**-0.5, generator)
    _init_linear(block.attn.out, branch_std, generator)
    _init_linear(block.mlp.up, (2 * width) ** -0.5, generator)
    _init_linear(block.mlp.down, branch_std, generator)


def _init_resnet(tower: ResNetTower, generator: torch.Generator) -> None:
    """Spreads that keep the activations' size through ReLUs (He et al., arXiv 1502.01852).

    Each branch begins by adding nothing (Goyal et al., arXiv 1706.02677, section 5.1).
    """
    for module in tower.modules():
        if isinstance(module, nn.Conv2d):
            _init_linear(module, (2 / module.weight[0].numel()) ** 0.5, generator)
        elif isinstance(module, BatchNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
            nn.init.zeros_(module.mean)
            nn.init.ones_(module.variance)
        elif isinstance(module, MeanQueryPool):
            std = module.q.in_features**-0.5
            nn.init.normal_(module.positions, std=std, generator=generator)
            _init_linear(module.q, std, generator)
            _init_linear(module.kv, std, generator)
    for module in tower.modules():
        if isinstance(module, Bottleneck):
            nn.init.zeros_(module.expand.norm.weight)
    _init_linear(tower.projection, tower.projection.in_features**-0.5, generator)


def _init_linear(layer: nn.Linear | nn.Conv2d, std: float, generator: torch.Generator) -> None:
    nn.init.normal_(layer.weight, std=std, generator=generator)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
