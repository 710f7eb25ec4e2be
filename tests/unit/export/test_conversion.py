from dataclasses import replace

import pytest

from clipworks.export.conversion import family_of
from clipworks.models.config import ResNetConfig
from tests.support.tiny import tiny_clip, tiny_siglip

SIGLIP = tiny_siglip().config
RESNET = ResNetConfig(image_size=32, width=4, layers=(1, 1, 1, 1), heads=4)
GEMMA = replace(SIGLIP, text=replace(SIGLIP.text, vocab_size=256_000))


@pytest.mark.parametrize(
    ("config", "family"),
    [
        (tiny_clip().config, "clip"),
        (replace(tiny_clip().config, scores="sigmoid"), "clip"),
        (replace(SIGLIP, scores="softmax"), "clip"),
        (SIGLIP, "siglip"),
        (GEMMA, "siglip2"),
        (tiny_siglip(naflex=True).config, "siglip2"),
        (replace(SIGLIP, vision=RESNET), "clip"),
    ],
)
def test_families(config, family):
    assert family_of(config) == family
