import math

import pytest
import torch
from torch import nn

from clipworks.models.blocks import Block, LayerScale, Norm, activate
from tests.unit.models.tiny_models import tiny_config

X = [-3.0, -1.0, -0.1, 0.0, 0.7, 2.5]


def gelu(x):
    return x * 0.5 * (1 + math.erf(x / math.sqrt(2)))


def gelu_tanh(x):
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def quick_gelu(x):
    return x / (1 + math.exp(-1.702 * x))


@pytest.mark.parametrize("formula", [gelu, gelu_tanh, quick_gelu])
def test_activations_are_their_formulas(formula):
    x = torch.tensor([[X]], dtype=torch.float64)
    expected = torch.tensor([[[formula(value) for value in X]]], dtype=torch.float64)
    torch.testing.assert_close(activate(x, formula.__name__), expected)


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("eps", [1e-6, 1e-2])
def test_norm_is_torchs_layer_norm(watched, eps):
    torch.manual_seed(0)
    ours, theirs = Norm(10, eps).double(), nn.LayerNorm(10, eps).double()
    with torch.no_grad():
        ours.weight.normal_()
        ours.bias.normal_()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 10, dtype=torch.float64)
    if watched:
        with ours.hook_scale.watch(lambda scale: None):
            got = ours(x)
    else:
        got = ours(x)
    torch.testing.assert_close(got, theirs(x))


def test_scale_is_the_standard_deviation():
    norm, seen = Norm(10, 1e-5), []
    x = torch.randn(2, 3, 10)
    with norm.hook_scale.watch(seen.append):
        norm(x)
    torch.testing.assert_close(seen[0][..., 0] ** 2, x.var(dim=-1, correction=0) + 1e-5)


def test_layer_scale_weighs_each_branch():
    config = tiny_config(vision={"layer_scale": True}).vision
    block = Block(config, causal=False)
    assert isinstance(block.attn_scale, LayerScale)
    with torch.no_grad():
        block.attn_scale.gamma.zero_()
        block.mlp_scale.gamma.zero_()
    x = torch.randn(2, 5, config.width)
    assert torch.equal(block(x), x)
    assert not torch.equal(Block(tiny_config().vision, causal=False)(x), x)
