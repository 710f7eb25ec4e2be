"""Checkpoints of the reference libraries, through our towers and our export, in ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest

from clipworks.export.to_onnx import export_graphs
from clipworks.models.checkpoints import save_checkpoint
from tests.unit.models.golden_cases import CASES, GoldenCase

QUICK = {"01_oc_clip_gelu", "04b_hf_clip_gelu_legacy_eos2", "05_hf_siglip", "08a_oc_clipa"}
SQUARE = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
    for name in CASES
    if name != "06b_hf_siglip2_naflex"  # a graph takes square pictures only
]


@pytest.mark.parametrize("name", SQUARE)
def test_the_graphs_give_the_reference_librarys_vectors(name, tmp_path):
    case = GoldenCase(name)
    model = case.load().model
    save_checkpoint(model, tmp_path / "weights.safetensors")
    export_graphs(model, tmp_path)
    inputs, expected = case.inputs(), case.outputs()
    pixels = inputs.get("image_nchw", inputs["pixel_values"])
    for graph, given, features in (
        ("image.onnx", pixels, "image_features_norm"),
        ("text.onnx", inputs["input_ids"], "text_features_norm"),
    ):
        session = ort.InferenceSession(tmp_path / graph)
        (got,) = session.run(None, {session.get_inputs()[0].name: given.numpy()})
        rows = expected[features].numpy().reshape(len(given), -1)  # 08f: of one query each
        np.testing.assert_allclose(got, rows, atol=1e-5)
