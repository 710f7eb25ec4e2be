"""The table of models: whole, unambiguous, and in agreement with figures from elsewhere."""

from __future__ import annotations

import pytest

from clipworks.encoders.catalog import (
    find_entry,
    is_architecture,
    list_entries,
    open_clip_config,
    unknown_model,
)

# Millions of parameters, as open_clip's docs/model_profile.csv has them (its `mparams`).
PROFILE = {
    "ViT-B-32": 151.28,
    "ViT-B-16": 149.62,
    "ViT-B-16-plus-240": 208.38,
    "ViT-L-14": 427.62,
    "ViT-L-14-336": 427.94,
    "ViT-H-14": 986.11,
    "ViT-g-14": 1366.68,
    "ViT-bigG-14": 2539.57,
}
QUICK = {
    "ViT-B-32/openai", "ViT-B-32/laion400m_e32", "ViT-B-16/dfn2b", "ViT-L-14/metaclip_fullcc",
    "ViT-H-14/dfn5b", "ViT-bigG-14/metaclip_fullcc",
}  # fmt: skip
PLAIN = {
    "ViT-B-32/laion2b_s34b_b79k", "ViT-B-16/laion400m_e32", "ViT-L-14/dfn2b_s39b",
    "ViT-H-14/metaclip_altogether", "ViT-g-14/laion2b_s12b_b42k",
}  # fmt: skip


def test_names_are_unique_and_aliases_lead_to_them():
    entries = list_entries()
    assert len({entry.name for entry in entries}) == len(entries) > 50
    for entry in entries:
        for name in (entry.name, *entry.aliases):
            assert find_entry(name) is entry


@pytest.mark.parametrize(
    "name",
    [
        "ViT-B-32/laion2b_s34b_b79k",
        "vit-b-32/laion2b-s34b-b79k",
        "ViT-B-32__laion2b-s34b-b79k",
        "ViT-B-32:laion2b_s34b_b79k",
        "open_clip:ViT-B-32/laion2b_s34b_b79k",
        "hf-hub:laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        "hf://laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
    ],
)
def test_one_model_many_spellings(name):
    assert find_entry(name).name == "ViT-B-32/laion2b_s34b_b79k"


def test_openai_names():
    assert find_entry("ViT-B/32").name == "ViT-B-32/openai"
    assert find_entry("ViT-L/14@336px").name == "ViT-L-14-336/openai"
    assert find_entry("openai/clip-vit-base-patch16").name == "ViT-B-16/openai"
    assert find_entry("ViT-B-32-quickgelu/openai").name == "ViT-B-32/openai"
    assert find_entry("ViT-B-32") is None


@pytest.mark.parametrize("architecture", PROFILE)
def test_parameters_agree_with_the_published_profile(architecture):
    found = {
        entry.num_parameters
        for entry in list_entries()
        if entry.name.partition("/")[0] == architecture
    }
    assert {round(number / 1e6, 2) for number in found} == {PROFILE[architecture]}


def test_openai_b32_has_its_known_number_of_parameters():
    assert find_entry("ViT-B-32/openai").num_parameters == 151_277_313


def test_activations():
    assert {find_entry(name).activation for name in QUICK} == {"quick_gelu"}
    assert {find_entry(name).activation for name in PLAIN} == {"gelu"}


def test_preprocessing_that_is_not_the_usual():
    assert find_entry("ViT-L-14/laion2b_s32b_b82k").image.mean == (0.5, 0.5, 0.5)
    assert find_entry("ViT-H-14-378/dfn5b").image.resize == "squash"
    assert find_entry("ViT-H-14-378/dfn5b").image.height == 378


def test_published_figures():
    """As open_clip's docs print them; the design's notes have the same."""
    figures = find_entry("ViT-B-32/laion2b_s34b_b79k").published
    assert figures.imagenet_top1 == 0.6656
    assert figures.coco_text_to_image_r1 == pytest.approx(0.393, abs=5e-4)
    assert figures.flickr30k_image_to_text_r1 == pytest.approx(0.841, abs=5e-4)
    assert find_entry("ViT-B-32/laion400m_e32").published.imagenet_top1 == 0.6293  # with QuickGELU
    assert find_entry("ViT-L-14/dfn2b_s39b").published.imagenet_top1 is None


def test_no_ready_export_has_another_activation():
    """immich's ViT-B-32__laion400m_* were made with GELU, their weights with QuickGELU."""
    assert find_entry("ViT-B-32/laion400m_e31").ready_export is None
    for entry in list_entries():
        export = entry.ready_export
        if export and export.layout == "open_clip":
            assert ("quickgelu" in export.repository) == (entry.activation == "quick_gelu")


def test_the_configuration_for_converting():
    config = open_clip_config(find_entry("ViT-bigG-14/laion2b_s39b_b160k"))
    vision = config["model_cfg"]["vision_cfg"]
    assert int(vision["width"] * vision["mlp_ratio"]) == 8192
    assert vision["head_width"] == 104
    assert config["model_cfg"]["quick_gelu"] is False
    assert config["preprocess_cfg"]["interpolation"] == "bicubic"


def test_unknown_names_get_the_nearest():
    assert "did you mean ViT-B-32/laion2b_s34b_b79k, " in str(unknown_model("ViT-B-32"))
    assert "did you mean pictograms?" in str(unknown_model("pictogram", installed=["pictograms"]))
    assert "`clipworks models` lists" in str(unknown_model("zzz"))
    assert is_architecture("vit-b-32/nothing")
    assert not is_architecture("me/my-clip")
