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
        "projection": "linear",
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
        ("text", {"embed_cls": True, "pool_type": "last"}, {"pooling": "class_token", "pad_id": 0}),
        (
            "text",
            {"scale_heads": True, "scale_fc": True, "scale_attn": False},
            {"block_extras": ("head_scale", "mlp_norm")},
        ),
        (
            "vision",
            {"qk_norm": True, "scale_attn_inner": True, "scale_attn": True},
            {"block_extras": ("attn_norm", "inner_norm", "qk_norm")},
        ),
        (
            "vision",
            {"attentional_pool": True, "final_ln_after_pool": False},
            {"pooling": "attention", "norm_pooled": True, "pool_queries": 256, "pool_heads": 8},
        ),
        (
            "vision",
            {"attentional_pool": "parallel", "attn_pooler_queries": 5, "attn_pooler_heads": 2},
            {"pooling": "attention", "norm_pooled": False, "pool_queries": 1, "pool_heads": 2},
        ),
        (
            "vision",
            {"attentional_pool": "cascade", "attn_pooler_queries": 5, "pool_type": "avg"},
            {"pooling": "attention_cascade", "norm_pooled": False, "pool_queries": 5},
        ),
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
        ("vision_cfg", {"timm_pool": "avg", "timm_model_name": "vit_base_patch16_siglip_224"}),
        ("vision_cfg", {"attentional_pool": "series"}),
        ("vision_cfg", {"attentional_pool": 1}),
        ("vision_cfg", {"scaled_cosine_attn": True}),
        ("vision_cfg", {"block_type": "custom"}),
        ("vision_cfg", {"pool_type": "none"}),
        ("vision_cfg", {"layers": [3, 4, 6, "3"]}),
        ("vision_cfg", {"layers": [3, 4, True, 3]}),
        ("vision_cfg", {"image_size": [224, 336]}),
        ("vision_cfg", {"pos_embed_type": "rope"}),
        ("vision_cfg", {"width": "768"}),
        ("vision_cfg", {"mlp_ratio": -1}),
        ("vision_cfg", {"act_kwargs": {"negative_slope": 1}}),
        ("vision_cfg", {"norm_kwargs": {"eps": 1e-6, "bias": True}}),
        ("vision_cfg", {"invented": 3}),
        ("text_cfg", {"hf_model_name": "roberta-base"}),
        ("text_cfg", {"embed_cls": 1}),
        ("text_cfg", {"correct_cls_mask": True}),
        ("text_cfg", {"use_pad_mask": True}),
        ("text_cfg", {"pool_type": "none"}),
        ("text_cfg", {"scale_fc": "yes"}),
        ("text_cfg", {"no_causal_mask": "yes"}),
        ("vision_cfg", 3),
    ],
    ids=str,
)
def test_what_is_not_supported_is_named(part, options):
    with pytest.raises(CheckpointError) as caught:
        state_open_clip({**SMALLEST, part: options})
    named = next(iter(options)) if isinstance(options, dict) else part
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("options", "stated"),
    [
        ({"layers": [3, 4, 6, 3], "width": 64, "patch_size": None}, (224, 64, (3, 4, 6, 3), 32)),
        ({"layers": [4, 6, 10, 6], "width": 80, "image_size": 288}, (288, 80, (4, 6, 10, 6), 40)),
        ({"layers": (1, 1, 1, 1), "width": 4, "head_width": 32}, (224, 4, (1, 1, 1, 1), 4)),
    ],
)
def test_a_list_of_layers_is_a_resnet(options, stated):
    facts = state_open_clip({**SMALLEST, "vision_cfg": options, "quick_gelu": True})
    names = ("image_size", "width", "layers", "heads")
    assert facts.vision == dict(zip(names, stated, strict=True))
    assert facts.text["activation"] == "quick_gelu"


def test_the_first_of_several_queries_only():
    vision = {"attentional_pool": True, "pool_type": "avg"}
    with pytest.raises(CheckpointError, match="pool_type: attentional_pool goes with 'tok' only"):
        state_open_clip({**SMALLEST, "vision_cfg": vision})


def test_the_caption_decoder_is_not_asked_about():
    decoder = {"multimodal_cfg": {"context_length": 76, "anything": "goes"}}
    assert state_open_clip({**SMALLEST, **decoder}) == state_open_clip(SMALLEST)


def test_quick_gelu_has_no_options():
    text = {"act_kwargs": {"approximate": "tanh"}}
    with pytest.raises(CheckpointError, match="approximate"):
        state_open_clip({**SMALLEST, "quick_gelu": True, "text_cfg": text})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("visual.trunk.patch_embed.proj.weight", "timm"),
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
