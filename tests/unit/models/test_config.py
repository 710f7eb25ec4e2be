import json

import pytest

from clipworks.errors import SettingsError
from clipworks.models.config import ClipConfig, ResNetConfig
from tests.unit.models.tiny_models import tiny_config, tiny_resnet_config

POOL = {"pooling": "attention", "pool_queries": 3, "pool_heads": 2}


@pytest.mark.parametrize(
    "config",
    [
        tiny_config(text={"pooling": "end_token", "end_id": 49, "pad_id": 0}, scores="sigmoid"),
        tiny_config(vision={**POOL, "block_extras": ("head_scale", "qk_norm")}),
        tiny_config(text={"positions": "rotary", "rotary_theta": 500.0}),
        tiny_resnet_config(),
    ],
)
def test_json_round_trip(config):
    assert ClipConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vision": {"heads": 3}}, "vision width 16 cannot be shared by 3 heads"),
        ({"text": {"heads": 0}}, "text width 16 cannot be shared by 0 heads"),
        ({"vision": {"activation": "relu"}}, "expected one of gelu, quick_gelu, gelu_tanh"),
        ({"vision": {"image_size": 3}}, "a picture of 3 pixels has no patch of 4 pixels"),
        ({"text": {"pooling": "end_token"}}, "needs end_id"),
        ({"text": {"projection": "none"}}, "gives 16 numbers, but the joint space has 12"),
        ({"vision": {"projection": "none"}}, "a vision tower without projection gives 16 numbers"),
        ({"vision": {"class_token": False}}, "pooling 'class_token' needs a class token"),
        ({"vision": {"naflex": True, "pooling": "map"}}, "naflex needs pooling 'map' after"),
        ({"vision": {"position_resize": "lanczos"}}, "expected one of bicubic, bicubic_antialias"),
        ({"text": {"causal": 1}}, "causal=1: expected <class 'bool'>"),
        ({"vision": {"heads": 2.0}}, "heads=2.0: expected int"),
        ({"vision": {"layers": True}}, "layers=True: expected int"),
        ({"vision": {"norm_eps": "1e-5"}}, "norm_eps='1e-5': expected <class 'float'>"),
        ({"vision": {"pooling": "attention"}}, "'attention' needs pool_queries and pool_heads"),
        ({"vision": {**POOL, "pool_heads": 5}}, "attention pooling width 12 cannot be shared by 5"),
        ({"vision": {"block_extras": ("qk_norm", "x")}}, "expected a list of one of attn_norm, "),
        ({"vision": {"block_extras": "qk_norm"}}, "block_extras='qk_norm': expected a list of"),
        ({"text": {"pooling": "class_token"}}, "'class_token' needs pad_id"),
        ({"text": {"positions": "rotary"}}, "rotary_theta=None: positions 'rotary' need a number"),
        (
            {"text": {"positions": "rotary", "rotary_theta": -1.0}},
            "rotary_theta=-1.0: positions 'rotary' need a number above 0",
        ),
        (
            {"text": {"positions": "rotary", "rotary_theta": 9.0, "width": 18, "heads": 6}},
            "heads of 3 channels cannot be rotated in pairs",
        ),
    ],
    ids=str,
)
def test_what_is_no_model_is_refused(changes, message):
    with pytest.raises(SettingsError) as caught:
        tiny_config(**changes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "damage",
    [
        lambda fields: fields.pop("vision"),
        lambda fields: fields["text"].pop("width"),
        lambda fields: fields.update(colour="red"),
        lambda fields: fields.update(vision="none"),
    ],
)
def test_json_of_another_shape_is_refused(damage):
    fields = tiny_config().to_json()
    damage(fields)
    with pytest.raises(SettingsError, match="not the configuration of a model"):
        ClipConfig.from_json(fields)


def test_what_older_files_leave_out_has_its_default():
    fields = tiny_config().to_json()
    for name in ("class_token", "patch_bias", "projection", "position_resize", "naflex"):
        del fields["vision"][name]
    for name in ("pool_queries", "pool_heads", "block_extras"):
        del fields["vision"][name]
    for name in ("block_extras", "positions", "rotary_theta"):
        del fields["text"][name]
    assert ClipConfig.from_json(fields) == tiny_config()


def test_a_border_narrower_than_a_patch_is_left_out():
    assert tiny_config(vision={"image_size": 19}).vision.num_patches == 16


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": (3, 4, 6)}, "layers=(3, 4, 6): expected four numbers above 0"),
        ({"layers": (3, 4, 0, 3)}, "expected four numbers above 0"),
        ({"layers": [3, 4, 6, 3]}, "layers=[3, 4, 6, 3]: expected a list of int"),
        ({"layers": (3, 4, True, 3)}, "expected a list of int"),
        ({"heads": 7}, "vision width 128 cannot be shared by 7 heads"),
        ({"width": 5, "heads": 5}, "width=5: expected an even number"),
        ({"image_size": 70}, "image_size=70: a ResNet takes a multiple of 32 pixels"),
        ({"kind": "vit"}, "kind='vit': expected one of resnet"),
    ],
    ids=str,
)
def test_what_is_no_resnet_is_refused(changes, message):
    with pytest.raises(SettingsError) as caught:
        tiny_resnet_config(**changes)
    assert message in str(caught.value)


def test_json_tells_the_towers_apart():
    fields = tiny_resnet_config().to_json()
    assert isinstance(ClipConfig.from_json(fields).vision, ResNetConfig)
    del fields["vision"]["kind"]
    with pytest.raises(SettingsError, match="not the configuration of a model"):
        ClipConfig.from_json(fields)


def test_the_activation_is_that_of_a_transformer():
    assert tiny_config(vision={"activation": "quick_gelu"}).activation == "quick_gelu"
    assert tiny_resnet_config().activation == "gelu"


def test_what_was_written_before_there_were_options_still_reads():
    fields = tiny_config().to_json()
    for name in ("pool_queries", "pool_heads", "block_extras"):
        del fields["vision"][name]
    for name in ("block_extras", "positions", "rotary_theta"):
        del fields["text"][name]
    assert ClipConfig.from_json(fields) == tiny_config()
