import pytest
import torch
from safetensors.torch import load_file, save_file

from clipworks.errors import CheckpointError
from clipworks.models.checkpoints import load_checkpoint
from clipworks.models.config import ResNetConfig
from clipworks.models.facts import CheckpointHints
from tests.unit.models.golden_cases import GoldenCase, relative_error

CASE = GoldenCase("10_oc_modified_resnet")


def save(folder, change):
    state = load_file(CASE.weights)
    change(state)
    save_file(state, folder / "w.safetensors")
    return folder / "w.safetensors"


def as_openai_does(state):
    """With the numbers that only OpenAI's archives have."""
    for name, number in (("input_resolution", 64), ("context_length", 16), ("vocab_size", 160)):
        state[name] = torch.tensor(number)


def test_the_tower_is_measured():
    config = CASE.load().config
    assert config.vision == ResNetConfig(image_size=64, width=4, layers=(1, 2, 1, 1), heads=4)
    assert config.text.activation == config.activation == "quick_gelu"


def test_openais_archive_says_the_family(tmp_path):
    path = save(tmp_path, as_openai_does)
    hints = CheckpointHints(vision_heads=4, text_heads=2)
    checkpoint = load_checkpoint(path, hints=hints)
    assert checkpoint.dialect == "openai"
    assert checkpoint.config.vision == CASE.load().config.vision
    assert checkpoint.config.text == CASE.load().config.text
    with torch.no_grad():
        got = checkpoint.model.encode_image(CASE.inputs()["pixel_values"])
    assert relative_error(got, CASE.outputs()["image_features"]) < 1e-5


def test_openais_heads_have_64_channels(tmp_path):
    path = save(tmp_path, as_openai_does)
    checkpoint = load_checkpoint(path, hints=CheckpointHints(text_heads=2))
    assert checkpoint.config.vision.heads == 2  # of the last grid's 128 channels


def test_the_count_of_batches_is_left_out():
    assert any(name.endswith("num_batches_tracked") for name in load_file(CASE.weights))
    assert not any("batches" in name for name in CASE.load().model.state_dict())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: state.pop("visual.layer2.1.bn3.running_var"),
            "1 tensor is missing: visual.layer2.1.expand.norm.variance",
        ),
        (
            lambda state: state.pop("visual.attnpool.v_proj.bias"),
            "visual.pool.attn.k.bias and its v do not fit",
        ),
        (
            lambda state: state.update({"visual.attnpool.v_proj.weight": torch.ones(128, 64)}),
            "visual.pool.attn.k.weight and its v do not fit",
        ),
        (
            lambda state: state.update({"visual.layer5.0.conv1.weight": torch.ones(1)}),
            "belongs? to nothing in the model: visual.layer5.0.reduce.conv.weight",
        ),
        (
            lambda state: state.update({"visual.layer4.0.conv2.weight": torch.ones(32, 32, 1, 1)}),
            r"visual.layer4.0.middle.conv.weight has the shape \[32, 32, 1, 1\]",
        ),
        (
            lambda state: state.update(
                {"visual.attnpool.positional_embedding": torch.ones(6, 128)}
            ),
            "visual.pool.positions has 6 rows: expected one, and one for each patch",
        ),
        (
            lambda state: state.update(
                {"visual.bn1.running_mean": torch.ones(2, dtype=torch.int8)}
            ),
            "visual.stem.0.norm.mean has .*int8: expected floating-point",
        ),
    ],
)
def test_wrong_tensors_are_refused(tmp_path, change, message):
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(save(tmp_path, change), config=CASE.config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": [1, 2, 2, 1]}, r"vision layers = \(1, 2, 2, 1\), but the tensors say"),
        ({"image_size": 96}, "vision image_size = 96, but the tensors say 64"),
        ({"width": 8}, "vision width = 8, but the tensors say 4"),
        ({"head_width": 40}, "vision width 128 cannot be shared by 3 heads"),
        ({"layers": 4, "patch_size": 16}, "stated for the image tower, but the tensors are"),
    ],
)
def test_a_configuration_of_other_weights_is_refused(changes, message):
    config = CASE.config["model_cfg"]
    config = {**config, "vision_cfg": {**config["vision_cfg"], **changes}}
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(CASE.weights, config=config)


def test_a_resnets_configuration_beside_a_transformer_is_refused():
    transformer = GoldenCase("01_oc_clip_gelu")
    config = {
        **transformer.config["model_cfg"],
        "vision_cfg": CASE.config["model_cfg"]["vision_cfg"],
    }
    with pytest.raises(CheckpointError, match="it belongs to other weights"):
        load_checkpoint(transformer.weights, config=config)


def test_a_hint_that_a_resnet_has_no_use_for_is_refused():
    with pytest.raises(CheckpointError, match="pooling: stated for the image tower"):
        load_checkpoint(
            CASE.weights, config=CASE.config, hints=CheckpointHints(vision_pooling="patch_mean")
        )
