import pytest
import torch

from clipworks.models.clip import Clip
from clipworks.models.sites import observe
from tests.unit.models.tiny_models import (
    siglip_config,
    some_pixels,
    some_tokens,
    tiny_config,
    tiny_resnet_config,
)

WIDE = {"width": 256, "layers": 3, "heads": 4, "mlp_width": 1024}


@pytest.fixture(scope="module")
def model():
    layered = {**WIDE, "layer_scale": True}
    config = tiny_config(vision=layered, text={**layered, "vocab_size": 500}, embed_dim=128)
    model = unfilled(config)
    model.init_weights(torch.Generator().manual_seed(0))
    return model


def unfilled(config):
    model = Clip(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(torch.nan)
    return model


@pytest.mark.parametrize(
    "config",
    [tiny_config(vision={"layer_scale": True}), siglip_config()],
    ids=["clip", "siglip"],
)
def test_every_parameter_is_filled(config):
    model = unfilled(config)
    model.init_weights(torch.Generator().manual_seed(0))
    for name, parameter in model.named_parameters():
        assert parameter.isfinite().all(), name


def test_the_pooling_heads_spreads():
    model = unfilled(siglip_config(**WIDE, projection="linear"))
    model.init_weights(torch.Generator().manual_seed(0))
    pool = model.visual.map_pool
    assert pool is not None
    for parameter, std in (
        (pool.probe, 256**-0.5),
        (pool.attn.kv.weight, 256**-0.5),
        (pool.mlp.up.weight, (2 * 256) ** -0.5),
        (pool.mlp.down.weight, 256**-0.5),
    ):
        assert parameter.std().item() == pytest.approx(std, rel=0.15)
    assert pool.ln.weight.eq(1).all()


@pytest.mark.parametrize(
    ("name", "std"),
    [
        ("text.token_embed.weight", 0.02),
        ("text.positions", 0.01),
        ("text.projection.weight", 256**-0.5),
        ("visual.positions", 256**-0.5),
        ("visual.projection.weight", 256**-0.5),
        ("visual.patch_embed.weight", (3 * 4 * 4) ** -0.5),
        ("visual.blocks.1.attn.qkv.weight", 256**-0.5),
        ("text.blocks.2.attn.out.weight", 256**-0.5 * 6**-0.5),
        ("text.blocks.0.mlp.up.weight", (2 * 256) ** -0.5),
        ("visual.blocks.2.mlp.down.weight", 256**-0.5 * 6**-0.5),
        ("visual.blocks.2.mlp.down.bias", 0),
        ("visual.blocks.0.ln1.weight", 0),
    ],
)
def test_spreads(model, name, std):
    parameter = model.get_parameter(name)
    assert parameter.std().item() == pytest.approx(std, rel=0.06)


def test_norms_and_layer_scales(model):
    assert model.visual.blocks[0].ln1.weight.eq(1).all()
    assert model.visual.blocks[0].ln1.bias.eq(0).all()
    assert model.text.blocks[1].mlp_scale.gamma.eq(0.1).all()


def test_the_generator_decides_alone():
    models = [Clip(tiny_config()) for _ in range(3)]
    for model, seed in zip(models, (1, 1, 2), strict=True):
        torch.manual_seed(torch.seed() % 1000)
        model.init_weights(torch.Generator().manual_seed(seed))
    first, second, other = (model.state_dict() for model in models)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["visual.positions"], other["visual.positions"])


OTHERS = {
    "coca": tiny_config(
        vision={"pooling": "attention_cascade", "pool_queries": 3, "pool_heads": 2},
        text={"pooling": "class_token", "pad_id": 0, "block_extras": ("head_scale", "qk_norm")},
    ),
    "rotary": tiny_config(text={"positions": "rotary", "rotary_theta": 50.0}),
    "resnet": tiny_resnet_config(),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_towers_are_filled_too(name):
    model = Clip(OTHERS[name])
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.fill_(torch.nan)
    model.init_weights(torch.Generator().manual_seed(0))
    for parameter, tensor in model.state_dict().items():
        assert tensor.isfinite().all(), parameter


def test_a_fresh_resnet_keeps_the_size_of_what_passes():
    model = Clip(tiny_resnet_config(width=16, layers=(2, 2, 2, 2), heads=8)).eval()
    model.init_weights(torch.Generator().manual_seed(0))
    with observe(model, ["visual.hook_layer?"]) as seen, torch.no_grad():
        model.encode_image(some_pixels(4, 64))
    for name, grid in seen.items():
        assert 0.05 < grid.square().mean() < 20, name


@pytest.mark.parametrize("config", [tiny_config(), *OTHERS.values()], ids=["plain", *OTHERS])
def test_a_fresh_model_tells_inputs_apart(config):
    model = Clip(config)
    model.init_weights(torch.Generator().manual_seed(0))
    images, texts = model(some_pixels(3, config.vision.image_size), some_tokens())
    for features in (images, texts):
        normal = torch.nn.functional.normalize(features, dim=1)
        assert (normal @ normal.T).fill_diagonal_(0).max() < 0.999
