"""The table of models: whole, unambiguous, and in agreement with figures from elsewhere."""

from __future__ import annotations

import pytest

from clipworks.encoders.catalog import (
    PublishedFigures,
    find_entry,
    is_architecture,
    list_entries,
    open_clip_config,
    unknown_model,
)

# Millions of parameters of the two towers, as open_clip's docs/model_profile.csv has them.
PROFILE = {
    "ViT-B-32": (87.85, 63.43),
    "ViT-B-16": (86.19, 63.43),
    "ViT-L-14-336": (304.29, 123.65),
    "ViT-H-14": (632.08, 354.03),
    "ViT-bigG-14": (1844.91, 694.66),
    "RN50": (38.32, 63.69),
    "coca_ViT-L-14": (306.72, 123.65),
    "convnext_base_w": (88.22, 91.16),
    "EVA02-B-16": (86.26, 63.43),
    "ViT-SO400M-14-SigLIP": (427.68, 449.68),
    "xlm-roberta-large-ViT-H-14": (632.08, 560.94),
    "nllb-clip-base-siglip": (93.18, 414.3),
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
    assert len({entry.name for entry in entries}) == len(entries) > 190
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
    entries = [entry for entry in list_entries() if entry.architecture == architecture]
    found = {(entry.image_parameters, entry.text_parameters) for entry in entries}
    assert {(round(i / 1e6, 2), round(t / 1e6, 2)) for i, t in found} == {PROFILE[architecture]}


def test_every_pretrained_tag_of_open_clip_is_there():
    """196 pairs, one of which has another tag's weights; those of its list stand for 27 twice."""
    listed = [entry for entry in list_entries() if entry.layout == "open_clip"]
    again = [alias for entry in listed for alias in entry.aliases if "-quickgelu/" in alias]
    assert len(listed) + len(again) == 195


def test_families_and_who_loads_them():
    families = {entry.family for entry in list_entries()}
    assert families == {
        "clip", "clipa", "coca", "convnext", "eva", "long-clip", "metaclip2", "mobileclip",
        "nllb-clip", "pe-core", "roberta-clip", "siglip", "siglip2", "vitamin",
    }  # fmt: skip
    native = {entry.family for entry in list_entries() if entry.loader == "native"}
    assert native == {"clip", "coca", "long-clip", "siglip", "siglip2"}
    for entry in list_entries():
        has_config = open_clip_config(entry) is not None
        assert has_config == (entry.loader == "native" and entry.layout == "open_clip")


def test_models_outside_open_clip():
    siglip = find_entry("google/siglip2-so400m-patch14-384")
    twin = find_entry("ViT-SO400M-14-SigLIP2-378/webli")
    assert (siglip.layout, siglip.embedding_dim) == ("transformers", 1152)
    assert siglip.num_parameters == twin.num_parameters
    assert siglip.published == twin.published
    assert siglip.published.imagenet_top1 == 0.841
    assert find_entry("google/siglip2-base-patch16-naflex").published.imagenet_top1 == 0.785
    long = find_entry("LongCLIP-B")
    assert (long.text.context_length, long.activation, long.layout) == (248, "quick_gelu", "openai")


def test_texts_of_other_tokenizers():
    siglip = find_entry("ViT-B-16-SigLIP/webli")
    assert (siglip.text.context_length, siglip.text.cleaning) == (64, "canonicalize")
    assert (siglip.text.start_id, siglip.tokenizer) == (None, "timm/ViT-B-16-SigLIP")
    multilingual = find_entry("xlm-roberta-base-ViT-B-32/laion5b_s13b_b90k")
    assert (multilingual.text.lowercase, multilingual.tokenizer) == (False, "xlm-roberta-base")
    assert find_entry("EVA02-B-16/merged2b_s8b_b131k").text == find_entry("ViT-B-32/openai").text


def test_what_is_not_published_is_not_made_up():
    worldwide = find_entry("ViT-H-14-worldwide/metaclip2_worldwide")
    assert worldwide.published == PublishedFigures()
    assert find_entry("ViTamin-S/datacomp1b").licence is None
    pe_core = find_entry("PE-Core-B-16/meta").published
    assert (pe_core.coco_text_to_image_r1, pe_core.coco_image_to_text_r1) == (0.509, None)


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
    other = find_entry("MobileCLIP2-S0/dfndr2b").published
    assert (other.imagenet_top1, other.coco_text_to_image_r1) == (0.715, None)


def test_no_ready_export_has_another_activation():
    """immich's ViT-B-32__laion400m_* were made with GELU, their weights with QuickGELU."""
    assert find_entry("ViT-B-32/laion400m_e31").ready_export is None
    assert find_entry("RN50/yfcc15m").ready_export is None
    for entry in list_entries():
        export = entry.ready_export
        # open_clip gives OpenAI's own weights their activation whatever the name says.
        if export and export.layout == "open_clip" and not entry.name.endswith("/openai"):
            assert ("quickgelu" in export.repository) == (entry.activation == "quick_gelu")


def test_the_configuration_for_converting():
    config = open_clip_config(find_entry("ViT-bigG-14/laion2b_s39b_b160k"))
    vision = config["model_cfg"]["vision_cfg"]
    assert int(vision["width"] * vision["mlp_ratio"]) == 8192
    assert vision["head_width"] == 104
    assert config["model_cfg"]["quick_gelu"] is False
    assert config["preprocess_cfg"]["interpolation"] == "bicubic"
    assert open_clip_config(find_entry("ViT-B-16/dfn2b"))["model_cfg"]["quick_gelu"] is True
    siglip = open_clip_config(find_entry("ViT-B-16-SigLIP/webli"))["model_cfg"]
    assert "quick_gelu" not in siglip
    assert siglip["text_cfg"]["pool_type"] == "last"


def test_unknown_names_get_the_nearest():
    assert "did you mean ViT-B-32/laion2b_s34b_b79k, " in str(unknown_model("ViT-B-32"))
    assert "did you mean pictograms?" in str(unknown_model("pictogram", installed=["pictograms"]))
    assert "`clipworks models` lists" in str(unknown_model("zzz"))
    assert is_architecture("vit-b-32/nothing")
    assert not is_architecture("me/my-clip")
