import pytest
import torch

from clipworks.errors import CheckpointError
from clipworks.models.checkpoints import load_checkpoint
from clipworks.models.dialects.open_clip_dialect import state_open_clip, translate_open_clip
from tests.unit.models.golden_cases import GoldenCase

SMALLEST = {"embed_dim": 512, "vision_cfg": {}, "text_cfg": {}}


def test_the_librarys_defaults():
    facts = state_open_clip(SMALLEST)
    assert facts.vision == {
        "image_size": 224,
        "patch_size": 16,
        "width": 768,
        "layers": 12,
        "heads": 12,
        "mlp_width": 3072,
        "activation": "gelu",
        "norm_eps": 1e-5,
        "pre_norm": True,
        "pooling": "class_token",
        "norm_pooled": False,
        "layer_scale": False,
        "block_extras": (),
    }
    assert facts.text == {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 512,
        "layers": 12,
        "heads": 8,
        "mlp_width": 2048,
        "activation": "gelu",
        "norm_eps": 1e-5,
        "causal": True,
        "pooling": "argmax",
        "end_id": None,
        "pad_id": 0,
        "projection": "linear",
        "layer_scale": False,
        "block_extras": (),
    }


@pytest.mark.parametrize(
    ("part", "options", "stated"),
    [
        (
            "vision",
            {"width": 1664, "head_width": 104, "mlp_ratio": 4.9231},
            {"heads": 16, "mlp_width": 8192},
        ),
        ("vision", {"no_ln_pre": True}, {"pre_norm": False}),
        (
            "vision",
            {"pool_type": "avg", "final_ln_after_pool": True},
            {"pooling": "patch_mean", "norm_pooled": True},
        ),
        ("vision", {"image_size": [336, 336]}, {"image_size": 336}),
        ("vision", {"ls_init_value": 0.1}, {"layer_scale": True}),
        ("vision", {"patch_dropout": 0.5, "pos_embed_type": "sin_cos_2d"}, {}),
        ("vision", {"norm_kwargs": {"eps": 1e-6}}, {"norm_eps": 1e-6}),
        ("vision", {"timm_model_name": None, "timm_drop": 0.0, "qk_norm": False}, {}),
        ("text", {"act_kwargs": {"approximate": "tanh"}}, {"activation": "gelu_tanh"}),
        (
            "text",
            {"no_causal_mask": True, "pool_type": "last"},
            {"causal": False, "pooling": "last"},
        ),
        ("text", {"pool_type": "eos"}, {"pooling": "end_token", "end_id": 2}),
        ("text", {"pool_type": "eos", "eos_id": 7}, {"pooling": "end_token", "end_id": 7}),
        ("text", {"proj_type": "none", "proj_bias": True}, {"projection": "none"}),
        ("text", {"proj_bias": True, "pad_id": 1}, {"projection": "linear_bias", "pad_id": 1}),
        ("text", {"hf_tokenizer_name": "bert-base-uncased", "block_type": "default"}, {}),
    ],
    ids=str,
)
def test_options(part, options, stated):
    facts = state_open_clip({**SMALLEST, f"{part}_cfg": options})
    got = facts.vision if part == "vision" else facts.text
    assert {name: got[name] for name in stated} == stated


def test_quick_gelu_is_for_both_towers():
    facts = state_open_clip({**SMALLEST, "quick_gelu": True})
    assert facts.vision["activation"] == facts.text["activation"] == "quick_gelu"


@pytest.mark.parametrize(
    ("part", "options"),
    [
        ("vision_cfg", {"timm_model_name": "vit_base_patch16_siglip_224"}),
        ("vision_cfg", {"attentional_pool": True}),
        ("vision_cfg", {"attentional_pool": "parallel"}),
        ("vision_cfg", {"qk_norm": True}),
        ("vision_cfg", {"scale_heads": True}),
        ("vision_cfg", {"scaled_cosine_attn": True}),
        ("vision_cfg", {"block_type": "custom"}),
        ("vision_cfg", {"pool_type": "none"}),
        ("vision_cfg", {"layers": [3, 4, 6, 3]}),
        ("vision_cfg", {"image_size": [224, 336]}),
        ("vision_cfg", {"pos_embed_type": "rope"}),
        ("vision_cfg", {"width": "768"}),
        ("vision_cfg", {"mlp_ratio": -1}),
        ("vision_cfg", {"act_kwargs": {"negative_slope": 1}}),
        ("vision_cfg", {"norm_kwargs": {"eps": 1e-6, "bias": True}}),
        ("vision_cfg", {"invented": 3}),
        ("text_cfg", {"hf_model_name": "roberta-base"}),
        ("text_cfg", {"embed_cls": True}),
        ("text_cfg", {"pool_type": "none"}),
        ("text_cfg", {"scale_fc": True}),
        ("text_cfg", {"no_causal_mask": "yes"}),
        ("multimodal_cfg", {"context_length": 76}),
        ("vision_cfg", 3),
    ],
    ids=str,
)
def test_what_is_not_supported_is_named(part, options):
    with pytest.raises(CheckpointError) as caught:
        state_open_clip({**SMALLEST, part: options})
    named = next(iter(options)) if isinstance(options, dict) and part != "multimodal_cfg" else part
    assert named in str(caught.value)


def test_quick_gelu_has_no_options():
    text = {"act_kwargs": {"approximate": "tanh"}}
    with pytest.raises(CheckpointError, match="approximate"):
        state_open_clip({**SMALLEST, "quick_gelu": True, "text_cfg": text})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("visual.trunk.patch_embed.proj.weight", "timm"),
        ("visual.layer1.0.conv1.weight", "ResNet"),
        ("visual.attn_pool.query", "attentional pooling"),
        ("text.cls_emb", "CoCa"),
        ("text.transformer.embeddings.word_embeddings.weight", "transformers"),
    ],
)
def test_other_towers_are_named(name, kind):
    with pytest.raises(CheckpointError, match=kind):
        translate_open_clip({name: torch.ones(1), "visual.conv1.weight": torch.ones(1)})


def test_a_computed_mask_is_left_out():
    state = {"attn_mask": torch.ones(4, 4), "ln_final.bias": torch.ones(4)}
    assert translate_open_clip(state).keys() == {"text.ln_final.bias"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ({}, (None, 158, 159, 0)),
        ({"hf_tokenizer_name": "bert-base-uncased"}, ("bert-base-uncased", None, None, 0)),
        ({"hf_tokenizer_name": "xlm", "pool_type": "eos", "pad_id": 1}, ("xlm", None, 2, 1)),
    ],
)
def test_tokenizer_facts(text, expected):
    case = GoldenCase("01_oc_clip_gelu")
    config = dict(case.config["model_cfg"])
    config["text_cfg"] = {**config["text_cfg"], **text}
    checkpoint = load_checkpoint(case.weights, config=config)
    facts = checkpoint.tokenizer
    assert (facts.name, facts.start_id, facts.end_id, facts.pad_id) == expected
    assert checkpoint.config.text.pad_id == expected[3]


def test_tokenizer_options_and_files(tmp_path):
    case = GoldenCase("01_oc_clip_gelu")
    (tmp_path / "w.safetensors").symlink_to(case.weights)
    (tmp_path / "tokenizer.json").write_text("{}")
    config = dict(case.config["model_cfg"])
    config["text_cfg"] = {**config["text_cfg"], "tokenizer_kwargs": {"clean": "canonicalize"}}
    facts = load_checkpoint(tmp_path / "w.safetensors", config=config).tokenizer
    assert facts.options == {"clean": "canonicalize"}
    assert facts.files == (tmp_path / "tokenizer.json",)
