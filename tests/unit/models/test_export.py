"""Both towers leave for ONNX as they are, with any number of rows."""

import numpy as np
import onnxruntime as ort
import pytest
import torch

from tests.unit.models.tiny_models import (
    siglip_config,
    some_pixels,
    some_tokens,
    tiny_config,
    tiny_model,
    tiny_resnet_config,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # from within torch's exporter
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def export(tower, example, path):
    torch.onnx.export(
        tower, (example,), path, dynamo=True, dynamic_shapes=({0: "batch"},), verbose=False
    )
    return ort.InferenceSession(path)


def check(session, tower, make):
    for count in (1, 2, 7):
        given = make(count)
        (got,) = session.run(None, {session.get_inputs()[0].name: given.numpy()})
        with torch.no_grad():
            expected = tower(given).numpy()
        np.testing.assert_allclose(got, expected, rtol=0, atol=2e-5 * max(1, abs(expected).max()))


@pytest.mark.parametrize("config", [tiny_config(), siglip_config()], ids=["clip", "siglip"])
def test_the_image_tower(tmp_path, config):
    tower = tiny_model(config).visual
    check(export(tower, some_pixels(2), tmp_path / "image.onnx"), tower, some_pixels)


@pytest.mark.parametrize("pooling", ["argmax", "end_token"])
def test_the_text_tower(tmp_path, pooling):
    tower = tiny_model(tiny_config(text={"pooling": pooling, "end_id": 7})).text
    check(export(tower, some_tokens(2), tmp_path / "text.onnx"), tower, some_tokens)


@pytest.mark.parametrize(
    "vision",
    [
        {"pooling": "attention", "norm_pooled": True, "pool_queries": 3, "pool_heads": 2},
        {"block_extras": ("attn_norm", "head_scale", "inner_norm", "mlp_norm", "qk_norm")},
    ],
    ids=["attention", "extras"],
)
def test_other_image_towers(tmp_path, vision):
    tower = tiny_model(tiny_config(vision=vision)).visual
    check(export(tower, some_pixels(2), tmp_path / "image.onnx"), tower, some_pixels)


def test_a_resnet(tmp_path):
    tower = tiny_model(tiny_resnet_config()).visual
    session = export(tower, some_pixels(2, 64), tmp_path / "image.onnx")
    check(session, tower, lambda count: some_pixels(count, 64))


@pytest.mark.parametrize(
    "text",
    [{"pooling": "class_token", "pad_id": 0}, {"positions": "rotary", "rotary_theta": 50.0}],
    ids=["class_token", "rotary"],
)
def test_other_text_towers(tmp_path, text):
    tower = tiny_model(tiny_config(text=text)).text

    def make(count):
        tokens = some_tokens(count)
        tokens[0, 5:] = 0
        return tokens

    check(export(tower, make(2), tmp_path / "text.onnx"), tower, make)


def test_sites_leave_no_trace():
    program = torch.export.export(tiny_model().visual, (some_pixels(2),))
    calls = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    assert sum("scaled_dot_product_attention" in call for call in calls) == 2
    assert not any("softmax" in call or "clone" in call or "alias" in call for call in calls)
