import pytest
import torch
from safetensors.torch import load_file, save_file

from clipworks.errors import CheckpointError
from clipworks.models.checkpoints import load_checkpoint
from clipworks.models.dialects.huggingface_configs import state_huggingface
from tests.unit.models.golden_cases import GoldenCase

SIGLIP = GoldenCase("05_hf_siglip")
SIGLIP2 = GoldenCase("06a_hf_siglip2_fixed")
BASE = {
    "patch_size": 16,
    "width": 768,
    "layers": 12,
    "heads": 12,
    "mlp_width": 3072,
    "activation": "gelu_tanh",
    "norm_eps": 1e-6,
    "pre_norm": False,
    "pooling": "map",
    "norm_pooled": False,
    "layer_scale": False,
    "class_token": False,
    "patch_bias": True,
    "projection": "none",
}


@pytest.mark.parametrize(
    ("model_type", "pictures"),
    [
        ("siglip", {"image_size": 224, "naflex": False}),
        ("siglip2", {"image_size": 256, "naflex": True}),
    ],
)
def test_what_a_config_leaves_out_is_the_librarys_default(model_type, pictures):
    """The published configuration of the base models says little more than its type."""
    facts = state_huggingface({"model_type": model_type})
    assert facts.vision == {**BASE, **pictures}
    assert facts.text == {
        "context_length": 64,
        "vocab_size": 32000,
        "width": 768,
        "layers": 12,
        "heads": 12,
        "mlp_width": 3072,
        "activation": "gelu_tanh",
        "norm_eps": 1e-6,
        "causal": False,
        "pooling": "last",
        "pad_id": None,
        "projection": "linear_bias",
        "layer_scale": False,
    }


def test_a_padding_token_counts_where_it_is_written():
    assert SIGLIP.load().config.text.pad_id == 1
    assert SIGLIP2.load().config.text.pad_id == 0


def test_exact_gelu_may_be_asked_for():
    config = {"model_type": "siglip", "vision_config": {"hidden_act": "gelu"}}
    facts = state_huggingface(config)
    assert (facts.vision["activation"], facts.text["activation"]) == ("gelu", "gelu_tanh")


@pytest.mark.parametrize(
    ("model_type", "vision", "message"),
    [
        ("siglip", {"vision_use_head": False}, "vision_use_head"),
        ("siglip", {"image_size": [224, 384]}, "image_size.*expected a square"),
        ("siglip", {"hidden_act": "relu"}, "hidden_act = 'relu'"),
        ("siglip", {"num_channels": 1}, "num_channels"),
        ("siglip2", {"num_patches": 200}, "num_patches = 200: expected a square"),
        ("siglip2", {"patch_size": "16"}, "patch_size"),
        ("siglip3", {}, "type 'siglip3' is not supported yet"),
    ],
)
def test_what_is_not_supported_is_named(model_type, vision, message):
    with pytest.raises(CheckpointError, match=message):
        state_huggingface({"model_type": model_type, "vision_config": vision})


@pytest.mark.parametrize(
    ("case", "other"), [(SIGLIP, SIGLIP2), (SIGLIP2, SIGLIP)], ids=["siglip", "siglip2"]
)
def test_the_configuration_of_the_other_generation_is_refused(case, other):
    with pytest.raises(CheckpointError, match="another kind of model"):
        load_checkpoint(case.weights, config=other.config)


@pytest.mark.parametrize("width", [191, 192 * 3 // 2])
def test_patches_that_are_no_squares_of_three_channels_are_refused(tmp_path, width):
    state = load_file(SIGLIP2.weights)
    state["vision_model.embeddings.patch_embedding.weight"] = torch.ones(40, width)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match="3 numbers for each pixel of a square patch"):
        load_checkpoint(tmp_path / "w.safetensors", config=SIGLIP2.config)


def test_a_tokenizers_start_token_is_not_put(tmp_path):
    (tmp_path / "w.safetensors").symlink_to(SIGLIP2.weights)
    (tmp_path / "tokenizer_config.json").write_text(
        '{"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>"}'
    )
    (tmp_path / "tokenizer.json").write_text(
        '{"added_tokens": [{"id": 0, "content": "<pad>"}, {"id": 1, "content": "<eos>"}, '
        '{"id": 2, "content": "<bos>"}]}'
    )
    facts = load_checkpoint(tmp_path / "w.safetensors", config=SIGLIP2.config).tokenizer
    assert (facts.start_id, facts.end_id, facts.pad_id) == (None, 1, 0)
