import numpy as np
import pytest

from clipworks.bench.contenders import TEXTS, cross, inputs_of
from clipworks.data.packaged_pictures import packaged_pictures
from clipworks.encoders.bundle import read_bundle
from clipworks.encoders.loading import load


@pytest.fixture
def bundle(tiny_bundle_folder):
    return read_bundle(tiny_bundle_folder)


def test_inputs_are_what_the_model_gets_elsewhere(bundle):
    embedder = load(bundle)
    pictures = packaged_pictures()[:3]
    pixels = inputs_of(bundle, "image", pictures, 7)
    assert pixels.dtype == np.float32 and len(pixels) == 7
    np.testing.assert_array_equal(pixels[1], embedder.read_pixels(pictures[1]))
    np.testing.assert_array_equal(pixels[3], pixels[0])
    tokens = inputs_of(bundle, "text", [], len(TEXTS))
    np.testing.assert_array_equal(tokens, embedder.tokenizer(list(TEXTS)))


def test_every_combination_once_and_the_bundles_own_precision_by_name(bundle):
    pairs = list(cross([bundle], ["onnx", "torch"], [None, "fp32", "bf16"], "cpu"))
    assert [c.label.removeprefix(f"{bundle.card.name} ") for _, c in pairs] == [
        "onnx fp32",
        "onnx bf16",
        "torch fp32",
        "torch bf16",
    ]
