"""Which weights decay, and which rule moves them."""

import pytest
import torch

from clipworks.train.config import TrainConfig
from clipworks.train.optimizer import decays, make_optimizers, set_learning_rate
from tests.support.tiny import tiny_clip


def config(rule: str) -> TrainConfig:
    fields = {"steps": 1, "batch_size": 1, "learning_rate": 0.1, "weight_decay": 0.3}
    return TrainConfig(**fields, optimizer=rule, muon_scale=3.0)


def test_matrices_decay_and_the_rest_does_not():
    decayed = {name for name, value in tiny_clip().named_parameters() if decays(name, value)}
    assert {name for name in decayed if not name.endswith("weight")} == set()
    assert "visual.patch_embed.weight" in decayed
    assert "text.blocks.0.attn.qkv.weight" in decayed
    undecayed = {"logit_scale", "text.token_embed.weight", "visual.class_token"}
    undecayed |= {"visual.positions", "text.positions", "visual.ln_pre.weight"}
    assert not undecayed & decayed
    assert decays("visual.attention_pool.0.attn.kv.weight", torch.nn.Parameter(torch.ones(4, 2)))
    assert not decays("visual.attention_pool.0.queries", torch.nn.Parameter(torch.ones(4, 2)))


@pytest.mark.parametrize("rule", ["adamw", "muon"])
def test_every_parameter_is_optimised_once(rule):
    model = tiny_clip()
    groups = [group for one in make_optimizers(model, config(rule)) for group in one.param_groups]
    optimised = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(optimised) == sorted(id(parameter) for parameter in model.parameters())
    assert {group["weight_decay"] for group in groups} == {0.3, 0.0}


@pytest.mark.parametrize("rule", ["adamw", "muon"])
def test_what_is_locked_is_not_optimised(rule):
    model = tiny_clip()
    model.visual.requires_grad_(False)
    groups = [group for one in make_optimizers(model, config(rule)) for group in one.param_groups]
    optimised = {id(parameter) for group in groups for parameter in group["params"]}
    assert not optimised & {id(parameter) for parameter in model.visual.parameters()}
    assert optimised >= {id(parameter) for parameter in model.text.parameters()}


def test_muon_moves_the_matrices_of_the_blocks_at_its_own_rate():
    model = tiny_clip()
    muon, adamw = make_optimizers(model, config("muon"))
    assert isinstance(muon, torch.optim.Muon)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    moved = {names[id(parameter)] for parameter in muon.param_groups[0]["params"]}
    assert "visual.blocks.1.mlp.down.weight" in moved
    assert all(".blocks." in name and name.endswith("weight") for name in moved)
    assert len(moved) == 16  # 2 towers, 2 blocks, 4 matrices
    set_learning_rate([muon, adamw], 0.02)
    assert [group["lr"] for group in muon.param_groups] == [0.06]
    assert [group["lr"] for group in adamw.param_groups] == [0.02, 0.02]
