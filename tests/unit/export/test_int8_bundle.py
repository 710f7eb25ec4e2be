"""A quantised bundle of the packaged model, whose weights are real."""

from __future__ import annotations

import shutil

import numpy as np
import onnx
import pytest

import clipworks
from clipworks.encoders.bundle import WEIGHTS_FILE, is_bundle, read_bundle, seal_bundle
from clipworks.encoders.loading import find_bundle
from clipworks.encoders.tensorrt_engine import BatchProfile
from clipworks.errors import BundleError, SettingsError
from clipworks.export import int8_bundle, to_tensorrt
from clipworks.export.graph_editor import read_graph
from clipworks.export.int8_bundle import quantize_bundle
from clipworks.export.limits import LIMITS
from clipworks.export.probe_inputs import ProbeInputs, packaged_probes
from clipworks.export.quantization import linear_layers
from clipworks.export.to_tensorrt import write_plan
from clipworks.export.verification import verify_embedder
from tests.support.tiny import WORDS


def few(count: int = 20) -> ProbeInputs:
    """So many of the demo's and the generated pictures."""
    every = packaged_probes()
    step = len(every.pictures) // count
    return ProbeInputs(every.pictures[::step][:count], every.texts[::8], every.labels)


@pytest.fixture(scope="module")
def pictograms():
    return find_bundle("pictograms")


@pytest.fixture(scope="module", params=["dynamic", "static", "symmetric"])
def quantized(request, pictograms, tmp_path_factory):
    out = tmp_path_factory.mktemp("int8") / "bundle"
    told = []
    report = quantize_bundle(
        pictograms, out, few(), method=request.param, watch=lambda *state: told.append(state)
    )
    return request.param, report, told


def test_it_is_a_bundle_like_any_other(quantized, pictograms):
    _, report, told = quantized
    bundle = read_bundle(report.bundle.folder)
    assert bundle.card.precision == "int8"
    assert bundle.card.fingerprint != pictograms.card.fingerprint
    assert WEIGHTS_FILE not in bundle.card.files
    assert ("this model", 20, 20) in told
    model = clipworks.load(bundle)
    assert model.embed_texts(["an apple"]).shape == (1, model.embedding_dim)


def test_it_passes_its_limits_on_pictures_that_it_was_not_calibrated_on(quantized, pictograms):
    _, report, _ = quantized
    every = packaged_probes()
    others = ProbeInputs(every.pictures[1::6], every.texts[3::16], every.labels)
    model, reference = clipworks.load(report.bundle), clipworks.load(pictograms)
    found = verify_embedder(model, reference, others)
    assert found.failures() == []
    assert found.images.lowest < 1 - 1e-5  # it really is another arithmetic


def test_its_weights_take_a_byte_each(quantized, pictograms):
    method, report, _ = quantized
    stored = sum(
        tensor.ByteSize()
        for path in (report.bundle.image_graph, report.bundle.text_graph)
        for tensor in onnx.load(path).graph.initializer
    )
    # The packaged weights take two bytes each; biases, norms and positions stay in float.
    share = 0.7 if method == "symmetric" else 0.6  # where a layer stays in float
    assert stored < share * (pictograms.folder / WEIGHTS_FILE).stat().st_size


def test_the_card_says_what_it_was_verified_against(quantized, pictograms):
    _, report, _ = quantized
    (record,) = read_bundle(report.bundle.folder).card.verified
    assert record.fingerprint == pictograms.card.fingerprint
    assert record.pictures == 20
    assert record.mean_image_cosine >= LIMITS["int8"].mean_cosine


def test_static_writes_standard_operators_alone(quantized):
    method, report, _ = quantized
    domains = {node.domain for node in onnx.load(report.bundle.image_graph).graph.node}
    assert domains == ({"", "com.microsoft"} if method == "dynamic" else {""})


def test_what_is_symmetric_tensorrt_takes(quantized, tmp_path, monkeypatch):
    method, report, _ = quantized
    monkeypatch.setattr(to_tensorrt, "build_engine", lambda graph, *, out, **_: out.touch())
    plan = tmp_path / "plan"
    for graph in (report.bundle.image_graph, report.bundle.text_graph):
        if method == "symmetric":
            write_plan(graph, plan, precision="int8", profile=BatchProfile(), context_length=12)
        else:
            with pytest.raises(BundleError, match="TensorRT's int8 takes symmetric pairs"):
                write_plan(graph, plan, precision="int8", profile=BatchProfile(), context_length=12)


def plant_outlier(folder, target):
    """Give one layer's input a huge value that its weights leave out: float does not mind."""
    shutil.copytree(folder, target)
    graph = read_graph(target / "image.onnx")
    layer = next(one for one in linear_layers(graph) if one.weight.shape == (64, 32))
    weight = 20 * layer.weight
    weight[0] = 0
    graph.arrays[layer.node.input[1]] = weight
    graph.arrays["model.visual.blocks.0.mlp.up.bias"] = np.array([2000.0] + [0.3] * 63, np.float32)
    (target / WEIGHTS_FILE).unlink()
    read_graph(folder / "text.onnx").save(target / "text.onnx")
    graph.save(target / "image.onnx")
    return layer.name, seal_bundle(target, read_bundle(folder).card)


def test_the_layer_that_does_the_damage_stays_in_float(tiny_bundle_folder, tmp_path):
    layer, source = plant_outlier(tiny_bundle_folder, tmp_path / "source")
    inputs = ProbeInputs(few(8).pictures, WORDS, ["a", "b"])
    report = quantize_bundle(source, tmp_path / "careful", inputs)
    assert report.float_layers == (layer,)
    assert report.num_layers == 19
    assert report.verification.failures() == []


def test_what_cannot_hold_the_limits_leaves_nothing(tiny_bundle_folder, tmp_path, monkeypatch):
    source = read_bundle(tiny_bundle_folder)
    impossible = type(LIMITS["int8"])(1.0, 1.0, 1.0, 1.0, 0.0)
    monkeypatch.setitem(LIMITS, "int8", impossible)
    with pytest.raises(BundleError, match="keep this model in fp16 or bf16"):
        quantize_bundle(source, tmp_path / "out", ProbeInputs(few(4).pictures, WORDS, ["a", "b"]))
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing_and_the_old_bundle(tiny_bundle_folder, tmp_path, monkeypatch):
    source = read_bundle(tiny_bundle_folder)
    old = read_bundle(shutil.copytree(tiny_bundle_folder, tmp_path / "out"))

    def interrupt(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(int8_bundle, "verify_embedder", interrupt)
    inputs = ProbeInputs(few(4).pictures, WORDS, ["a", "b"])
    with pytest.raises(SettingsError, match="holds a bundle already"):
        quantize_bundle(source, tmp_path / "out", inputs)
    with pytest.raises(KeyboardInterrupt):
        quantize_bundle(source, tmp_path / "out", inputs, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert is_bundle(tmp_path / "out")
    assert read_bundle(tmp_path / "out").card == old.card


def test_wrong_methods_are_named(pictograms, tmp_path):
    with pytest.raises(SettingsError, match="method 'magic': expected one of dynamic, static"):
        quantize_bundle(pictograms, tmp_path / "out", few(2), method="magic")
