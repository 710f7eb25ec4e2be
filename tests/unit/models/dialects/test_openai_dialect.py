import pytest
import torch
from safetensors.torch import load_file, save_file

from clipworks.errors import CheckpointError
from clipworks.models.checkpoints import load_checkpoint
from clipworks.models.facts import CheckpointHints
from tests.unit.models.golden_cases import GoldenCase

WIDE = GoldenCase("07b_openai_layout_fp16_w64heads")
NARROW = GoldenCase("07a_openai_layout_of_02")


def test_the_family_says_the_rest():
    config = load_checkpoint(WIDE.weights).config
    assert config.vision.activation == config.text.activation == "quick_gelu"
    assert (config.vision.heads, config.text.heads) == (2, 1)
    assert config.text.causal
    assert config.text.pooling == "argmax"
    assert config.vision.pooling == "class_token"


def test_heads_of_64_channels_or_none():
    with pytest.raises(CheckpointError, match=r"does not say: vision_heads, text_heads\."):
        load_checkpoint(NARROW.weights)
    hints = CheckpointHints(vision_heads=4, text_heads=4)
    assert load_checkpoint(NARROW.weights, hints=hints).config.vision.heads == 4


def test_a_configuration_says_them_too():
    model_cfg = GoldenCase("02_oc_clip_quickgelu").config["model_cfg"]
    assert load_checkpoint(NARROW.weights, config=model_cfg).config.text.heads == 4


def test_without_its_numbers_it_is_anybodys(tmp_path):
    state = load_file(WIDE.weights)
    del state["input_resolution"]
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match=r"does not say: .*activation"):
        load_checkpoint(tmp_path / "w.safetensors")


def test_tokens_are_those_of_openais_tokenizer():
    facts = load_checkpoint(WIDE.weights).tokenizer
    assert (facts.start_id, facts.end_id, facts.pad_id) == (158, 159, 0)


def test_long_clips_tables_must_match(tmp_path):
    state = load_file(WIDE.weights)
    state["positional_embedding_res"] = torch.zeros(8, 64)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match="expected the same"):
        load_checkpoint(tmp_path / "w.safetensors")
