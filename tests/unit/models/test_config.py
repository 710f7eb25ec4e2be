import json

import pytest

from clipworks.errors import SettingsError
from clipworks.models.config import ClipConfig
from tests.unit.models.tiny_models import tiny_config


def test_json_round_trip():
    config = tiny_config(text={"pooling": "end_token", "end_id": 49, "pad_id": 0}, scores="sigmoid")
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
    assert ClipConfig.from_json(fields) == tiny_config()


def test_a_border_narrower_than_a_patch_is_left_out():
    assert tiny_config(vision={"image_size": 19}).vision.num_patches == 16
