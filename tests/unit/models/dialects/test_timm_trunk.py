import json
from importlib.resources import files

import pytest
import torch
from safetensors.torch import load_file, save_file

from clipworks.errors import CheckpointError
from clipworks.models.checkpoints import load_checkpoint
from clipworks.models.dialects.json_options import Options
from clipworks.models.dialects.open_clip_dialect import state_open_clip
from clipworks.models.dialects.timm_trunk import state_trunk, translate_trunk
from clipworks.models.facts import CheckpointHints
from tests.unit.models.golden_cases import GoldenCase, relative_error

CASE = GoldenCase("03a_oc_siglip")
TABLE = json.loads((files("clipworks.models.dialects") / "timm_siglip.json").read_text())
SIGLIP = {"timm_pool": "map", "timm_proj": "none"}


def named(name, **options):
    return Options("vision_cfg", {**SIGLIP, "timm_model_name": name, **options})


@pytest.mark.parametrize(
    ("name", "heads", "activation"),
    [
        ("vit_base_patch16_siglip_224", 12, "gelu"),
        ("vit_base_patch32_siglip_256", 12, "gelu_tanh"),
        ("vit_large_patch16_siglip_512", 16, "gelu_tanh"),
        ("vit_so400m_patch14_siglip_384", 16, "gelu"),
        ("vit_so400m_patch16_siglip_512.v2_webli", 16, "gelu_tanh"),
        ("timm/vit_giantopt_patch16_siglip_256", 16, "gelu_tanh"),
    ],
)
def test_what_a_name_stands_for(name, heads, activation):
    assert state_trunk(named(name)) == {
        "pooling": "map",
        "norm_pooled": False,
        "patch_bias": True,
        "projection": "none",
        "heads": heads,
        "activation": activation,
        "norm_eps": 1e-6,
    }


def test_the_table_is_whole_and_sorted():
    assert list(TABLE) == sorted(TABLE)
    for facts in TABLE.values():
        assert facts.keys() == {"heads", "activation"}
        assert facts["activation"] in {"gelu", "gelu_tanh"}


def test_a_name_that_is_not_in_the_table_is_asked_about():
    with pytest.raises(
        CheckpointError, match=r"does not say: vision_heads, vision_activation, norm_eps\."
    ):
        load_checkpoint(CASE.weights, config=CASE.config)


def test_a_name_of_another_tower_is_refused():
    config = json.loads(json.dumps(CASE.config))
    config["model_cfg"]["vision_cfg"]["timm_model_name"] = "vit_so400m_patch14_siglip_384"
    with pytest.raises(CheckpointError, match="width 40 cannot be shared by 16 heads"):
        load_checkpoint(CASE.weights, config=config)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 64}, "image_size = 64, but the tensors say 32"),
        ({"timm_proj": "linear"}, "projection = linear, but the tensors say none"),
        ({"timm_proj": "linear", "timm_proj_bias": True}, "projection = linear_bias, but"),
        ({"timm_proj": "mlp"}, "timm_proj = 'mlp': expected one of none, linear"),
        ({"timm_pool": "avg"}, "timm_pool = 'avg': expected one of map"),
    ],
    ids=str,
)
def test_a_configuration_of_another_tower_is_refused(options, message):
    config = json.loads(json.dumps(CASE.config))
    config["model_cfg"]["vision_cfg"].update(options)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(CASE.weights, config=config, hints=CASE.hints)


def test_a_size_with_a_border_is_kept():
    config = json.loads(json.dumps(CASE.config))
    config["model_cfg"]["vision_cfg"]["image_size"] = 35
    checkpoint = load_checkpoint(CASE.weights, config=config, hints=CASE.hints)
    assert checkpoint.config.vision.image_size == 35


def test_a_projection_after_the_tower(tmp_path):
    projection = torch.randn(40, 40, generator=torch.Generator().manual_seed(0))
    state = load_file(CASE.weights) | {"visual.head.proj.weight": projection}
    save_file(state, tmp_path / "w.safetensors")
    config = json.loads(json.dumps(CASE.config))
    config["model_cfg"]["vision_cfg"]["timm_proj"] = "linear"
    model = load_checkpoint(tmp_path / "w.safetensors", config=config, hints=CASE.hints).model
    with torch.no_grad():
        got = model.encode_image(CASE.inputs()["pixel_values"])
    assert relative_error(got, CASE.outputs()["image_features"] @ projection.T) < 1e-5


def test_quick_gelu_is_not_for_a_timm_tower():
    vision = {**SIGLIP, "timm_model_name": "vit_base_patch16_siglip_224"}
    facts = state_open_clip({"quick_gelu": True, "vision_cfg": vision, "text_cfg": {}})
    assert (facts.vision["activation"], facts.text["activation"]) == ("gelu", "quick_gelu")


def test_weights_and_hints_are_enough_without_any_file():
    hints = CheckpointHints(
        vision_heads=4,
        text_heads=2,
        activation="gelu",
        norm_eps=1e-6,
        vision_pooling="map",
        norm_pooled=False,
        causal=False,
        text_pooling="last",
    )
    assert load_checkpoint(CASE.weights, hints=hints).config.vision == CASE.load().config.vision


@pytest.mark.parametrize(
    "names",
    [
        ["visual.trunk.stem.0.weight"],
        ["visual.trunk.attn_pool.latent", "visual.trunk.cls_token"],
    ],
)
def test_other_towers_of_timm_are_named(names):
    with pytest.raises(CheckpointError, match=r"timm .*not one of SigLIP's"):
        translate_trunk({name: torch.ones(1) for name in names})


def test_models_without_such_a_tower_pass():
    tensors = {"visual.conv1.weight": torch.ones(1), "mlp.fc1.weight": torch.ones(1)}
    assert translate_trunk(tensors) == tensors
