"""Checkpoints of the reference libraries, through our towers and our export, in ONNX Runtime."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from safetensors.numpy import load_file

from clipworks.export.to_onnx import export_graphs
from clipworks.models.checkpoints import load_checkpoint, save_checkpoint

GOLDEN = Path(__file__).parent.parent / "golden" / "models"
QUICK = {"01_oc_clip_gelu", "04b_hf_clip_gelu_legacy_eos2", "08a_oc_clipa"}
CASES = [
    pytest.param(path, id=path.name, marks=() if path.name in QUICK else pytest.mark.slow)
    for path in sorted(GOLDEN.iterdir())
    if (path / "outputs.safetensors").is_file()
]


def configuration(case: Path) -> dict:
    stated = json.loads((case / "config.json").read_text())
    return stated.get("hf_config_json") or {"model_cfg": stated["kwargs"]}


@pytest.mark.parametrize("case", CASES)
def test_the_graphs_give_the_reference_librarys_vectors(case, tmp_path):
    config = None if case.name.startswith("07b") else configuration(case)
    model = load_checkpoint(case / "state_dict.safetensors", config=config).model
    save_checkpoint(model, tmp_path / "weights.safetensors")
    export_graphs(model, tmp_path)
    inputs = load_file(case / "inputs.safetensors")
    expected = load_file(case / "outputs.safetensors")
    for graph, given, name in (
        ("image.onnx", inputs["pixel_values"], "image_features_norm"),
        ("text.onnx", inputs["input_ids"], "text_features_norm"),
    ):
        session = ort.InferenceSession(tmp_path / graph)
        (got,) = session.run(None, {session.get_inputs()[0].name: given})
        np.testing.assert_allclose(got, expected[name], atol=1e-5)
