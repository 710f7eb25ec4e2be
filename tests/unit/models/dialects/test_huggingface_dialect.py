import copy
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from clipworks.errors import CheckpointError
from clipworks.models.checkpoints import load_checkpoint
from clipworks.models.dialects.huggingface_dialect import HuggingFaceDialect
from clipworks.models.tensor_files import TensorFile
from tests.unit.models.golden_cases import GoldenCase

MODERN = GoldenCase("04a_hf_clip_quickgelu")
LEGACY = GoldenCase("04b_hf_clip_gelu_legacy_eos2")


def facts_of(config, tmp_path):
    return HuggingFaceDialect().state_facts(TensorFile(tmp_path / "w", {}), config)


def changed(part, **options):
    config = copy.deepcopy(MODERN.config)
    config[part].update(options)
    return config


def test_what_a_config_leaves_out_is_the_librarys_default(tmp_path):
    facts = facts_of({"model_type": "clip"}, tmp_path)
    assert facts.vision == {
        "image_size": 224,
        "patch_size": 32,
        "width": 768,
        "layers": 12,
        "heads": 12,
        "mlp_width": 3072,
        "activation": "quick_gelu",
        "norm_eps": 1e-5,
        "pre_norm": True,
        "pooling": "class_token",
        "layer_scale": False,
        "class_token": True,
        "projection": "linear",
        "position_resize": "bicubic",
        "naflex": False,
    }
    assert facts.text == {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 512,
        "layers": 12,
        "heads": 8,
        "mlp_width": 2048,
        "activation": "quick_gelu",
        "norm_eps": 1e-5,
        "causal": True,
        "pooling": "end_token",
        "end_id": 49407,
        "pad_id": 1,
        "projection": "linear",
        "layer_scale": False,
    }


def test_an_end_id_of_2_is_an_old_mistake():
    config = LEGACY.load().config.text
    assert (config.pooling, config.end_id, config.pad_id) == ("argmax", None, None)
    config = MODERN.load().config.text
    assert (config.pooling, config.end_id, config.pad_id) == ("end_token", 159, 159)


def test_a_part_that_is_there_twice(tmp_path):
    config = {"text_config": {"hidden_act": "gelu"}, "text_config_dict": {"num_hidden_layers": 3}}
    facts = facts_of(config, tmp_path)
    assert facts.text["layers"] == 3
    assert facts.text["activation"] == "quick_gelu"


@pytest.mark.parametrize("name", ["gelu_pytorch_tanh", "gelu_new"])
def test_names_of_tanh_gelu(tmp_path, name):
    config = changed("vision_config", hidden_act=name)
    assert facts_of(config, tmp_path).vision["activation"] == "gelu_tanh"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "blip"}, "type 'blip' is not supported yet"),
        (changed("vision_config", hidden_act="silu"), "hidden_act = 'silu': expected one of"),
        (changed("vision_config", num_channels=1), "num_channels"),
        (changed("vision_config", image_size=[224, 336]), "image_size.*expected a square"),
        (changed("text_config", eos_token_id=[2, 3]), "eos_token_id.*expected a whole number"),
        (changed("text_config", layer_norm_eps=0), "layer_norm_eps"),
        (changed("text_config", num_attention_heads=2.5), "num_attention_heads"),
        ({"text_config": [1]}, "text_config = .*expected an object"),
    ],
    ids=str,
)
def test_what_is_not_supported_is_named(tmp_path, config, message):
    with pytest.raises(CheckpointError, match=message):
        facts_of(config, tmp_path)


def test_old_files_hold_position_ids(tmp_path):
    state = load_file(MODERN.weights)
    state["text_model.embeddings.position_ids"] = torch.arange(16)[None]
    save_file(state, tmp_path / "model.safetensors")
    assert load_checkpoint(tmp_path, config=MODERN.config).config == MODERN.load().config


@pytest.mark.parametrize(
    "damage",
    [{"k": None}, {"v": torch.ones(3, 5)}, {"q": torch.ones(32, 32, dtype=torch.int8)}],
)
def test_queries_keys_and_values_belong_together(tmp_path, damage):
    state = load_file(MODERN.weights)
    for letter, tensor in damage.items():
        name = f"text_model.encoder.layers.0.self_attn.{letter}_proj.weight"
        if tensor is None:
            del state[name]
        else:
            state[name] = tensor
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="does not fit its k and v"):
        load_checkpoint(tmp_path, config=MODERN.config)


class TestTokenizer:
    def folder(self, tmp_path, case, **files):
        (tmp_path / "model.safetensors").symlink_to(case.weights)
        (tmp_path / "config.json").write_text(json.dumps(case.config))
        for name, content in files.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
        return tmp_path

    def test_from_the_configuration(self, tmp_path):
        facts = load_checkpoint(self.folder(tmp_path, MODERN)).tokenizer
        assert (facts.start_id, facts.end_id, facts.pad_id) == (158, 159, 159)
        assert facts.files == ()

    def test_a_legacy_configuration_is_not_trusted(self, tmp_path):
        facts = load_checkpoint(self.folder(tmp_path, LEGACY)).tokenizer
        assert (facts.start_id, facts.end_id, facts.pad_id) == (None, None, None)

    @pytest.mark.parametrize("case", [MODERN, LEGACY], ids=["modern", "legacy"])
    def test_the_tokenizers_own_files_know_best(self, tmp_path, case):
        folder = self.folder(
            tmp_path,
            case,
            tokenizer_config={
                "bos_token": {"content": "<s>"},
                "eos_token": "</s>",
                "pad_token": "!",
            },
            tokenizer={
                "added_tokens": [
                    {"id": 7, "content": "<s>"},
                    {"id": 8, "content": "</s>"},
                    {"id": 0, "content": "!"},
                ]
            },
        )
        checkpoint = load_checkpoint(folder)
        facts = checkpoint.tokenizer
        assert (facts.start_id, facts.end_id, facts.pad_id) == (7, 8, 0)
        assert checkpoint.config.text.pad_id == 0
        assert [path.name for path in facts.files] == ["tokenizer.json", "tokenizer_config.json"]


def test_a_newer_processor_file(tmp_path):
    (tmp_path / "model.safetensors").symlink_to(MODERN.weights)
    content = {"image_processor": {"do_resize": True}, "processor_class": "CLIPProcessor"}
    (tmp_path / "processor_config.json").write_text(json.dumps(content))
    checkpoint = load_checkpoint(tmp_path, config=MODERN.config)
    assert checkpoint.preprocessing == {"do_resize": True}
