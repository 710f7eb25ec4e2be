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
from clipworks.models.map_pooling import MapPool
from clipworks.models.norms import Norm
from clipworks.models.resnet import (
    BatchNorm,
    Bottleneck,
    MeanQueryPool,
    NormedConvolution,
    ResNetTower,
)
from clipworks.models.text import TextTower
from clipworks.models.vision import VisionTower

_TEMPERATURE = 0.07  # section 2.4 of the paper
_SIGMOID_SCALE = 10.0  # with the bias: Zhai et al., arXiv 2303.15343, section 3.1
_SIGMOID_BIAS = -10.0
_LAYER_SCALE = 0.1  # Touvron et al., arXiv 2103.17239, for up to 18 layers


def init_tower(tower: VisionTower | ResNetTower | TextTower, generator: torch.Generator) -> None:
    """Fill every parameter of a tower, and the running figures of its batch normalisations."""
    match tower:
        case VisionTower():
            std = tower.config.width**-0.5
            _init_tables(std, generator, tower.class_token, tower.positions)
            _init_linear(tower.patch_embed, tower.patch_embed.weight[0].numel() ** -0.5, generator)
        case TextTower():
            _init_tables(0.02, generator, tower.token_embed.weight)
            _init_tables(0.01, generator, tower.positions, tower.class_token)
    layers = sum(isinstance(module, Block) for module in tower.modules())
    for module in tower.modules():
        _init_module(module, layers, generator)
    for module in tower.modules():
        if isinstance(module, Bottleneck):  # its branch begins by adding nothing:
            nn.init.zeros_(module.expand.norm.weight)  # Goyal et al., arXiv 1706.02677, section 5.1
    if isinstance(tower.projection, nn.Linear):
        _init_linear(tower.projection, tower.projection.in_features**-0.5, generator)


def init_scores(logit_scale: Tensor, logit_bias: Tensor | None) -> None:
    """Set the scale, and the bias where there is one."""
    if logit_bias is None:
        nn.init.constant_(logit_scale, math.log(1 / _TEMPERATURE))
    else:
        nn.init.constant_(logit_scale, math.log(_SIGMOID_SCALE))
        nn.init.constant_(logit_bias, _SIGMOID_BIAS)


def _init_module(module: nn.Module, layers: int, generator: torch.Generator) -> None:
    """Fill what is the module's own, in a tower of so many transformer blocks."""
    match module:
        case Norm():
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        case BatchNorm():
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
            nn.init.zeros_(module.mean)
            nn.init.ones_(module.variance)
        case LayerScale():
            nn.init.constant_(module.gamma, _LAYER_SCALE)
        case Block():
            _init_block(module, layers, generator)
        case NormedConvolution():  # through ReLUs: He et al., arXiv 1502.01852, equation 10
            std = (2 / module.conv.weight[0].numel()) ** 0.5
            _init_linear(module.conv, std, generator)
        case AttentionPool() | MapPool() | MeanQueryPool():
            _init_pool(module, generator)


def _init_block(block: Block, layers: int, generator: torch.Generator) -> None:
    width = block.attn.out.in_features
    branch_std = width**-0.5 * (2 * layers) ** -0.5
    if block.attn.head_scale is not None:
        nn.init.ones_(block.attn.head_scale)
    _init_linear(block.attn.qkv, width**-0.5, generator)
    _init_linear(block.attn.out, branch_std, generator)
    _init_linear(block.mlp.up, (2 * width) ** -0.5, generator)
    _init_linear(block.mlp.down, branch_std, generator)


def _init_pool(pool: AttentionPool | MapPool | MeanQueryPool, generator: torch.Generator) -> None:
    match pool:
        case AttentionPool():
            _init_tables(1.0, generator, pool.queries)
        case MapPool():
            width = pool.attn.q.in_features
            _init_tables(width**-0.5, generator, pool.probe)
            _init_linear(pool.mlp.up, (2 * width) ** -0.5, generator)
            _init_linear(pool.mlp.down, width**-0.5, generator)
        case MeanQueryPool():
            _init_tables(pool.attn.q.in_features**-0.5, generator, pool.positions)
    for layer in (pool.attn.q, pool.attn.kv, pool.attn.out):
        if isinstance(layer, nn.Linear):
            _init_linear(layer, layer.in_features**-0.5, generator)


def _init_tables(std: float, generator: torch.Generator, *tables: Tensor | None) -> None:
    """Fill what is learnt for each position, token or query, where the tower has it."""
    for table in tables:
        if table is not None:
            nn.init.normal_(table, std=std, generator=generator)


def _init_linear(layer: nn.Linear | nn.Conv2d, std: float, generator: torch.Generator) -> None:
    nn.init.normal_(layer.weight, std=std, generator=generator)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
