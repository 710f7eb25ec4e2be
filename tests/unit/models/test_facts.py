import pytest

from clipworks.errors import CheckpointError, SettingsError
from clipworks.models.checkpoints import load_checkpoint
from clipworks.models.facts import CheckpointHints
from tests.unit.models.golden_cases import GoldenCase, relative_error

GELU = GoldenCase("01_oc_clip_gelu")
QUICK = GoldenCase("02_oc_clip_quickgelu")
OF_GELU = CheckpointHints(
    activation="gelu",
    norm_eps=1e-5,
    vision_heads=4,
    text_heads=2,
    vision_pooling="class_token",
    causal=True,
    text_pooling="argmax",
)


def test_bare_tensors_do_not_say_enough():
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(GELU.weights)
    message = str(caught.value)
    assert "vision_heads, activation, norm_eps, vision_pooling, norm_pooled" in message
    assert "text_heads, causal, text_pooling" in message
    assert "CheckpointHints(activation='quick_gelu')" in message
    assert "open_clip_config.json" in message
    for measured in ("width", "layers", "mlp_width", "image_size", "projection", "pre_norm"):
        assert measured not in message


def test_bare_tensors_and_all_hints_are_enough():
    assert load_checkpoint(GELU.weights, hints=OF_GELU).config.vision.heads == 4
    model = load_checkpoint(GELU.weights, hints=OF_GELU).model
    got = model.encode_image(GELU.inputs()["pixel_values"]).detach()
    assert relative_error(got, GELU.outputs()["image_features"]) < 1e-5


@pytest.mark.parametrize("name", ["activation", "causal", "text_heads", "norm_eps"])
def test_one_hint_too_few(name):
    hints = CheckpointHints(**{**vars(OF_GELU), name: None})
    with pytest.raises(CheckpointError, match=rf"does not say: {name}\."):
        load_checkpoint(GELU.weights, hints=hints)


def test_norm_pooled_matters_to_means_only():
    hints = CheckpointHints(**{**vars(OF_GELU), "vision_pooling": "patch_mean"})
    with pytest.raises(CheckpointError, match=r"does not say: norm_pooled\."):
        load_checkpoint(GELU.weights, hints=hints)


def test_a_hint_goes_before_the_file():
    """Some weights need QuickGELU though their architecture's configuration says GELU."""
    config = {**QUICK.config["model_cfg"], "quick_gelu": False}
    wrong = load_checkpoint(QUICK.weights, config=config)
    assert wrong.config.vision.activation == "gelu"
    right = load_checkpoint(
        QUICK.weights, config=config, hints=CheckpointHints(activation="quick_gelu")
    )
    assert right.config == QUICK.load().config


def test_a_towers_own_activation_goes_before_that_of_both():
    hints = CheckpointHints(activation="gelu", vision_activation="gelu_tanh")
    config = load_checkpoint(GELU.weights, config=GELU.config, hints=hints).config
    assert (config.vision.activation, config.text.activation) == ("gelu_tanh", "gelu")


def test_a_tower_whose_activation_is_known_is_not_asked_about():
    hints = CheckpointHints(**{**vars(OF_GELU), "activation": None, "text_activation": "gelu"})
    with pytest.raises(CheckpointError, match=r"does not say: vision_activation\."):
        load_checkpoint(GELU.weights, hints=hints)


def test_a_resnet_is_asked_for_no_facts_of_a_transformer():
    case = GoldenCase("10_oc_modified_resnet")
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(case.weights)
    asked = "vision_heads, text_heads, activation, norm_eps, causal, text_pooling"
    assert f"does not say: {asked}. Put its" in str(caught.value)


@pytest.mark.parametrize(
    ("hints", "message"),
    [
        ({"text_activation": "relu"}, "text_activation='relu': expected one of gelu"),
        ({"activation": "relu"}, "activation='relu': expected one of gelu, quick_gelu, gelu_tanh"),
        ({"text_pooling": "eos"}, "text_pooling='eos': expected one of argmax, end_token"),
    ],
)
def test_hints_are_checked(hints, message):
    with pytest.raises(SettingsError, match=message):
        CheckpointHints(**hints)


def test_a_hint_that_goes_ill_with_the_sizes():
    hints = CheckpointHints(**{**vars(OF_GELU), "vision_heads": 7})
    with pytest.raises(CheckpointError, match="vision width 40 cannot be shared by 7 heads"):
        load_checkpoint(GELU.weights, hints=hints)


def test_end_token_needs_its_id():
    hints = CheckpointHints(**{**vars(OF_GELU), "text_pooling": "end_token"})
    with pytest.raises(CheckpointError, match="needs end_id"):
        load_checkpoint(GELU.weights, hints=hints)


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("vision_cfg", {"width": 48}, "vision width = 48, but the tensors say 40"),
        ("vision_cfg", {"image_size": 48}, "vision image_size = 48, but the tensors say 32"),
        ("vision_cfg", {"mlp_ratio": 3}, "vision mlp_width = 120, but the tensors say 160"),
        ("vision_cfg", {"no_ln_pre": True}, "vision pre_norm = False, but the tensors say True"),
        ("text_cfg", {"layers": 10**9}, "text layers = 1000000000, but the tensors say 2"),
        ("text_cfg", {"vocab_size": 49408}, "text vocab_size = 49408, but the tensors say 160"),
        ("text_cfg", {"proj_bias": True}, "text projection = linear_bias, but the tensors say"),
        ("text_cfg", {"ls_init_value": 0.1}, "text layer_scale = True, but the tensors say"),
    ],
)
def test_a_configuration_of_other_weights_is_refused(part, change, message):
    config = GELU.config["model_cfg"]
    config = {**config, part: {**config[part], **change}}
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(GELU.weights, config=config)


def test_a_picture_with_a_border_keeps_its_size():
    config = GELU.config["model_cfg"]
    config = {**config, "vision_cfg": {**config["vision_cfg"], "image_size": 35}}
    assert load_checkpoint(GELU.weights, config=config).config.vision.image_size == 35
