"""How the catalogue reads open_clip's tables."""

import pytest

from recipes.catalog.build_catalog import find_licence, find_ready_export, leave_out_copies
from recipes.catalog.open_clip_tables import Tag, describe_text, family_of, loader_of
from recipes.catalog.published_figures import pick_figures

PLAIN = {"vision_cfg": {"width": 8}, "text_cfg": {"context_length": 77}}


def tag(name, repository="org/one", **pretrained):
    architecture, _, label = name.partition("/")
    return Tag(architecture, label, dict(PLAIN), {"hf_hub": f"{repository}/", **pretrained})


@pytest.mark.parametrize(
    ("architecture", "family"),
    [
        ("ViT-B-32", "clip"), ("RN50x4", "clip"), ("ViT-B-16-SigLIP-i18n-256", "siglip"),
        ("ViT-L-16-SigLIP2-512", "siglip2"), ("nllb-clip-base-siglip", "nllb-clip"),
        ("MobileCLIP2-S0", "mobileclip"), ("xlm-roberta-base-ViT-B-32", "roberta-clip"),
        ("ViT-H-14-CLIPA-336", "clipa"), ("ViT-H-14-worldwide-378", "metaclip2"),
    ],
)  # fmt: skip
def test_families(architecture, family):
    assert family_of(architecture) == family


def test_a_new_option_does_not_pass_for_a_plain_clip():
    assert loader_of("ViT-X", PLAIN) == "native"
    assert loader_of("EVA05-X", {"vision_cfg": {"timm_model_name": "eva05"}}) == "open_clip"
    with pytest.raises(AssertionError, match="ViT-X is no plain CLIP"):
        loader_of("ViT-X", {**PLAIN, "vision_cfg": {"rotary": True}})


def test_texts_as_open_clip_cleans_them():
    assert describe_text(PLAIN) == {
        "context_length": 77, "cleaning": "whitespace", "lowercase": True, "tokenizer": "clip",
    }  # fmt: skip
    siglip = {"hf_tokenizer_name": "org/s", "tokenizer_kwargs": {"clean": "canonicalize"}}
    assert describe_text({"text_cfg": {"context_length": 64, **siglip}}) == {
        "context_length": 64, "cleaning": "canonicalize", "lowercase": True, "tokenizer": "org/s",
    }  # fmt: skip
    assert describe_text({"text_cfg": {"hf_tokenizer_name": "org/x"}})["lowercase"] is False


def test_a_repository_given_to_two_tags_counts_once():
    tags = [tag("A/e31", "org/a"), tag("A/e32", "org/a"), tag("B/e31", "org/a")]
    kept, left_out = leave_out_copies(tags)
    assert [one.name for one in kept] == ["A/e31", "B/e31"]
    assert left_out.keys() == {"A/e32"}


def test_ready_exports_need_the_weights_activation():
    layouts = {"open_clip": {"repositories": {"A/one": "org/A__one", "A/openai": "org/A__openai"}}}
    left_out = {}
    assert find_ready_export(tag("A/one"), layouts, left_out)["repository"] == "org/A__one"
    assert find_ready_export(tag("A/openai", quick_gelu=True), layouts, left_out) is not None
    assert left_out == {}
    assert find_ready_export(tag("A/one", quick_gelu=True), layouts, left_out) is None
    assert left_out.keys() == {"org/A__one"}


def test_figures_are_those_of_the_right_activation():
    column = "ImageNet 1k"
    results = {("A", "one"): {column: "0.1"}, ("A-quickgelu", "one"): {column: "0.2"}}
    assert pick_figures(tag("A/one"), results) == {"imagenet_top1": 0.1}
    assert pick_figures(tag("A/one", quick_gelu=True), results) == {"imagenet_top1": 0.2}
    assert pick_figures(tag("B/one"), results) == {}


def test_licences_by_repository_tag_and_family():
    rows = [
        {"repository": "org/a", "tags": ["x"], "families": [], "licence": "MIT"},
        {"repository": "", "tags": [], "families": ["eva"], "licence": "Apache-2.0"},
    ]
    assert find_licence("org/a-1", "x", "clip", rows)["licence"] == "MIT"
    assert find_licence("org/a-1", "y", "clip", rows) == {}
    assert find_licence("timm/any", "y", "eva", rows)["licence"] == "Apache-2.0"
