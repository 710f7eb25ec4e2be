import json

import pytest

from clipworks.errors import SettingsError
from clipworks.inputs import ImageSpec, TextSpec


def test_image_spec_survives_json():
    spec = ImageSpec(224, 336, resize="longest", mean=(0.5, 0.4, 0.3), transparency="white")
    assert ImageSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_text_spec_survives_json():
    spec = TextSpec(64, cleaning="canonicalize", start_id=None, end_id=1, pad_id=1)
    assert TextSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_the_corrections_are_on_and_transparency_is_dropped_by_default():
    spec = ImageSpec.from_json({"height": 8, "width": 8})
    assert (spec.orient_exif, spec.rescale_16bit, spec.transparency) == (True, True, "drop")


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"resize": "stretch"}, "resize is 'stretch', expected one of shortest, longest, squash"),
        ({"interpolation": "cubic"}, "expected one of bicubic"),
        ({"transparency": "black"}, "expected one of drop, white"),
        ({"height": 0}, "8 x 0"),
        ({"mean": (0.5,)}, "3 values"),
        ({"std": (1.0, 0.0, 1.0)}, "std of 0"),
        ({"colour": "red"}, "ImageSpec has no colour"),
    ],
)
def test_wrong_image_settings_are_refused(fields, complaint):
    with pytest.raises(SettingsError, match=complaint):
        ImageSpec.from_json({"height": 8, "width": 8, **fields})


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"context_length": 2}, "no room for text"),
        ({"context_length": 8, "cleaning": "lower"}, "expected one of whitespace"),
        ({"context_length": 8, "eos": 3}, "TextSpec has no eos"),
        ({}, "TextSpec needs context_length"),
    ],
)
def test_wrong_text_settings_are_refused(fields, complaint):
    with pytest.raises(SettingsError, match=complaint):
        TextSpec.from_json(fields)
