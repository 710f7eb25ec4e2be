"""What is read out of an export's own files, in each layout."""

import json

import pytest

from clipworks.encoders.catalog import find_entry
from clipworks.encoders.ready_export import _LAYOUTS, _external_weights
from tests.support.tiny_exports import open_clip_export, transformers_export

ENTRY = find_entry("ViT-L-14/laion2b_s32b_b82k")


@pytest.mark.parametrize(
    ("layout", "files"),
    [("open_clip", open_clip_export(ENTRY)), ("transformers", transformers_export(ENTRY))],
)
def test_settings_agree_with_the_catalogue(layout, files):
    stated = json.loads(files[_LAYOUTS[layout].settings])
    assert _LAYOUTS[layout].read_settings(stated, ENTRY.image) == ENTRY.image


def test_settings_of_other_shapes():
    read = _LAYOUTS["transformers"].read_settings
    image = read({"crop_size": 64, "resample": 2, "image_mean": [0, 0, 0]}, ENTRY.image)
    assert (image.height, image.width, image.resize) == (64, 64, "shortest")
    assert (image.interpolation, image.mean) == ("bilinear", (0, 0, 0))
    squashed = {"do_center_crop": False, "size": {"height": 48, "width": 32}}
    image = read(squashed, ENTRY.image)
    assert (image.height, image.width, image.resize) == (48, 32, "squash")
    image = _LAYOUTS["open_clip"].read_settings({"size": 96}, ENTRY.image)
    assert (image.height, image.width, image.mean) == (96, 96, (0.5, 0.5, 0.5))


def test_weights_in_further_files():
    listing = [
        "README.md", "visual/model.onnx", "visual/523d3c00-47e7", "visual/model.rknn",
        "visual/preprocess_cfg.json", "visual/fp16/model.armnn", "textual/model.onnx",
        "textual/merges.txt", "onnx/vision_model.onnx", "onnx/vision_model.onnx_data",
        "onnx/text_model.onnx", "onnx/vision_model_fp16.onnx_data",
    ]  # fmt: skip
    assert _external_weights("visual/model.onnx", listing) == ["visual/523d3c00-47e7"]
    assert _external_weights("textual/model.onnx", listing) == []
    assert _external_weights("onnx/vision_model.onnx", listing) == ["onnx/vision_model.onnx_data"]
    assert _external_weights("onnx/text_model.onnx", listing) == []
