from pathlib import Path

import pytest

from clipworks.errors import CheckpointError
from clipworks.export.input_specs import image_spec_of
from clipworks.inputs import OPENAI_MEAN, OPENAI_STD
from clipworks.models.checkpoints import Checkpoint
from clipworks.models.dialects.dialect import TokenizerFacts
from tests.support.tiny import tiny_clip, tiny_siglip

# Facts of public files: openai/clip-vit-base-patch32's preprocessor_config.json, its newer form,
# and a preprocess_cfg as open_clip's push_to_hf_hub writes it.
HUGGING_FACE = {
    "crop_size": 16, "do_center_crop": True, "do_normalize": True, "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": list(OPENAI_MEAN),
    "image_std": list(OPENAI_STD), "resample": 3, "size": 16,
}  # fmt: skip
NEWER = {
    **HUGGING_FACE, "size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16},
}  # fmt: skip
SQUASHED = {
    "do_center_crop": False, "size": {"height": 16, "width": 16}, "resample": 2,
    "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
}  # fmt: skip
OPEN_CLIP = {
    "size": [16, 16], "mode": "RGB", "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25],
    "interpolation": "bilinear", "resize_mode": "longest", "fill_color": 7,
}  # fmt: skip


def checkpoint(**changes) -> Checkpoint:
    fields = {
        "model": tiny_clip(),
        "dialect": "huggingface",
        "weights": Path("model.safetensors"),
        "preprocessing": None,
        "tokenizer": TokenizerFacts(),
        "licence": None,
    }
    return Checkpoint(**{**fields, **changes})


@pytest.mark.parametrize("stated", [HUGGING_FACE, NEWER])
def test_clips_own_image_processor(stated):
    spec = image_spec_of(checkpoint(preprocessing=stated), None, None)
    assert (spec.height, spec.width, spec.resize, spec.interpolation) == (
        16, 16, "shortest", "bicubic"
    )  # fmt: skip
    assert (spec.mean, spec.std) == (OPENAI_MEAN, OPENAI_STD)
    assert (spec.transparency, spec.rgb_conversion) == ("white", "before_resize")
    assert spec.crop_rounding == "down"


def test_an_image_processor_that_squashes():
    spec = image_spec_of(checkpoint(preprocessing=SQUASHED), None, None)
    assert (spec.resize, spec.interpolation, spec.mean) == ("squash", "bilinear", (0.5, 0.5, 0.5))


def test_a_naflex_models_pictures_are_made_square():
    """Its image processor states a number of patches instead of a size."""
    stated = {"image_processor_type": "Siglip2ImageProcessor", "patch_size": 8}
    naflex = checkpoint(model=tiny_siglip(naflex=True), preprocessing=stated)
    spec = image_spec_of(naflex, None, None)
    assert (spec.height, spec.width, spec.resize, spec.interpolation) == (
        16, 16, "squash", "bilinear"
    )  # fmt: skip
    assert (spec.mean, spec.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    stated["resample"] = 3
    assert image_spec_of(naflex, None, None).interpolation == "bicubic"


def test_open_clips_preprocess_cfg_and_its_defaults():
    open_clip = checkpoint(dialect="open_clip", preprocessing=OPEN_CLIP)
    spec = image_spec_of(open_clip, None, None)
    assert (spec.resize, spec.interpolation, spec.fill) == ("longest", "bilinear", 7)
    assert (spec.mean, spec.std) == ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    defaults = image_spec_of(checkpoint(dialect="open_clip"), {"model_cfg": {}}, None)
    assert (defaults.resize, defaults.mean) == ("shortest", OPENAI_MEAN)


def test_openais_archives_need_no_file():
    spec = image_spec_of(checkpoint(dialect="openai"), None, None)
    assert (spec.resize, spec.interpolation, spec.mean) == ("shortest", "bicubic", OPENAI_MEAN)


@pytest.mark.parametrize("dialect", ["open_clip", "huggingface", "clipworks"])
def test_where_nobody_says_the_caller_is_asked(dialect):
    with pytest.raises(CheckpointError, match="does not say how pictures are prepared"):
        image_spec_of(checkpoint(dialect=dialect), None, None)
    assert image_spec_of(checkpoint(dialect=dialect), None, "siglip").resize == "squash"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 20}, r"prepared as \[20, 20\]"),
        ({"crop_size": 8}, r"prepared as \[8, 8\]"),
        ({"resample": 5}, "resample = 5"),
        ({"do_center_crop": False}, "does not crop"),
    ],
)
def test_what_we_cannot_do_is_refused(change, message):
    with pytest.raises(CheckpointError, match=message):
        image_spec_of(checkpoint(preprocessing={**HUGGING_FACE, **change}), None, None)
