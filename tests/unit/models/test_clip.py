import math
from dataclasses import replace

import pytest
import torch

from clipworks.models.clip import Clip
from clipworks.models.config import ClipConfig, TextConfig, VisionConfig
from tests.unit.models.tiny_models import (
    siglip_config,
    some_pixels,
    some_tokens,
    tiny_config,
    tiny_model,
)


def test_openais_smallest_has_its_published_size():
    blocks = {"layers": 12, "activation": "quick_gelu"}
    config = ClipConfig(
        embed_dim=512,
        vision=VisionConfig(
            image_size=224, patch_size=32, width=768, heads=12, mlp_width=3072, **blocks
        ),
        text=TextConfig(
            context_length=77, vocab_size=49408, width=512, heads=8, mlp_width=2048, **blocks
        ),
    )
    with torch.device("meta"):
        model = Clip(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == 151_277_313


def test_forward_gives_both_features():
    model = tiny_model()
    images, texts = model(some_pixels(2), some_tokens(5))
    assert torch.equal(images, model.encode_image(some_pixels(2)))
    assert torch.equal(texts, model.encode_text(some_tokens(5)))
    assert images.norm(dim=1).std() > 0  # not normalised


@pytest.mark.parametrize("scores", ["softmax", "sigmoid"])
def test_logits_are_scaled_cosines(scores):
    model = tiny_model(tiny_config(scores=scores))
    images, texts = model(some_pixels(2), some_tokens(5))
    cosines = torch.nn.functional.cosine_similarity(images[:, None], texts[None], dim=2)
    bias = 0 if model.logit_bias is None else model.logit_bias
    expected = cosines * model.logit_scale.exp() + bias
    torch.testing.assert_close(model.logits(images, texts), expected)
    torch.testing.assert_close(model.logits(3 * images, texts), expected)
    assert (model.logit_bias is None) == (scores == "softmax")


def test_siglips_smallest_has_its_published_size():
    """The sum over the tensors of google/siglip-base-patch16-224."""
    blocks = {"layers": 12, "width": 768, "heads": 12, "mlp_width": 3072, "activation": "gelu_tanh"}
    siglip = siglip_config()
    config = ClipConfig(
        embed_dim=768,
        vision=replace(siglip.vision, image_size=224, patch_size=16, **blocks),
        text=replace(siglip.text, context_length=64, vocab_size=32000, **blocks),
        scores="sigmoid",
    )
    with torch.device("meta"):
        model = Clip(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == 203_155_970


LAYERED = {"layer_scale": True}


@pytest.mark.parametrize(
    "config",
    [
        tiny_config(vision=LAYERED, text={**LAYERED, "projection": "linear_bias"}),
        tiny_config(vision=LAYERED, text=LAYERED, scores="sigmoid"),
        siglip_config(),
    ],
    ids=["softmax", "sigmoid", "siglip"],
)
def test_gradients_reach_every_parameter(config):
    model = tiny_model(config)
    model.logits(*model(some_pixels(), some_tokens())).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_starting_temperature():
    softmax, sigmoid = Clip(tiny_config()), Clip(tiny_config(scores="sigmoid"))
    for model in (softmax, sigmoid):
        model.init_weights(torch.Generator().manual_seed(0))
    assert softmax.logit_scale.exp().item() == pytest.approx(1 / 0.07)
    assert sigmoid.logit_scale.item() == pytest.approx(math.log(10))
    assert sigmoid.logit_bias is not None
    assert sigmoid.logit_bias.item() == -10
