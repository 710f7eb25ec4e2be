from __future__ import annotations

import shutil
import sys
from dataclasses import replace

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto

from clipworks.encoders import served_names
from clipworks.encoders.bundle import Bundle, read_bundle, seal_bundle
from clipworks.encoders.catalog import find_entry
from clipworks.encoders.loading import load
from clipworks.errors import BundleError, MissingExtraError, SettingsError
from clipworks.export import triton_towers
from clipworks.export.triton_repository import write_repository
from clipworks.export.triton_towers import RepositorySettings, weight_files
from tests.support.tiny_exports import image_graph, text_graph

NAMES = sorted(vars(served_names.ServedNames.of("tiny")).values())


@pytest.fixture
def bundle(tiny_bundle_folder) -> Bundle:
    return read_bundle(tiny_bundle_folder)


def write(bundle, out, *, overwrite=False, **settings):
    return write_repository(bundle, out, RepositorySettings(**settings), overwrite=overwrite)


def config(out, model: str) -> str:
    return (out / f"tiny-{model}" / "config.pbtxt").read_text("utf-8")


@pytest.mark.parametrize("variant", ["onnx", "openvino", "python"])
def test_a_bundle_becomes_six_models(bundle, tmp_path, variant):
    out = tmp_path / "models"
    folders = write(bundle, out, variant=variant)
    assert [folder.name for folder in folders] == NAMES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["models"]
    for folder in folders:
        assert sorted(path.name for path in folder.iterdir()) == ["1", "config.pbtxt"]
        assert any((folder / "1").iterdir()), "an empty folder is lost in object stores"
        assert f'name: "{folder.name}"\n' in config(out, folder.name.removeprefix("tiny-"))


@pytest.mark.parametrize(
    ("variant", "path"), [("onnx", "model.onnx/model.onnx"), ("openvino", "model.onnx")]
)
def test_the_copied_graphs_find_their_weights(bundle, tmp_path, variant, path):
    write(bundle, tmp_path / "models", variant=variant)
    pixels = np.random.default_rng(0).normal(size=(3, 3, 16, 16)).astype(np.float32)
    tokens = load(bundle).tokenizer(["a red square", "a green circle"])
    expected = load(bundle, backend="onnx").encoder
    for tower, rows, wanted in (
        ("image", {"pixels": pixels}, expected.encode_images(pixels)),
        ("text", {"tokens": tokens}, expected.encode_texts(tokens)),
    ):
        session = ort.InferenceSession(tmp_path / "models" / f"tiny-{tower}" / "1" / path)
        (given,) = session.run(["embeddings"], rows)
        np.testing.assert_allclose(given, wanted, atol=1e-6)


def test_openvino_reads_what_its_backend_is_given(bundle, tmp_path):
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")
    write(bundle, tmp_path / "models", variant="openvino")
    pixels = np.random.default_rng(0).normal(size=(3, 3, 16, 16)).astype(np.float32)
    graph = tmp_path / "models" / "tiny-image" / "1" / "model.onnx"
    model = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert [port.get_any_name() for port in model.inputs] == ["pixels"]
    assert [port.get_any_name() for port in model.outputs] == ["embeddings"]
    expected = load(bundle, backend="onnx").encoder.encode_images(pixels)
    np.testing.assert_allclose(model(pixels)[0], expected, atol=1e-4)


def test_weights_that_both_towers_use_lie_on_disk_once(bundle, tmp_path):
    write(bundle, tmp_path / "models")
    image, text = (
        tmp_path / "models" / f"tiny-{tower}" / "1" / "model.onnx" / "weights.safetensors"
        for tower in ("image", "text")
    )
    assert image.samefile(text)
    assert not image.samefile(bundle.folder / "weights.safetensors")


def test_a_file_system_without_links_gets_copies(bundle, tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    write(bundle, tmp_path / "models", variant="python")
    image, text = (
        tmp_path / "models" / f"tiny-{tower}" / "1" / "bundle" for tower in ("image", "text")
    )
    assert read_bundle(image).card == read_bundle(text).card == bundle.card
    assert not (image / "image.onnx").samefile(text / "image.onnx")


def test_only_the_files_that_a_graph_names_are_its_weights(tmp_path):
    (tmp_path / "image.onnx").write_bytes(b"...weights.safetensors...part2.bin")
    for name in ("text.onnx", "weights.safetensors", "part2.bin", "part3.bin", "bundle.json"):
        (tmp_path / name).touch()
    found = weight_files(tmp_path, tmp_path / "image.onnx")
    assert [path.name for path in found] == ["part2.bin", "weights.safetensors"]


def test_two_bundles_share_a_repository(bundle, tmp_path):
    other = shutil.copytree(bundle.folder, tmp_path / "other")
    second = seal_bundle(other, replace(bundle.card, name="org/second"))
    write(bundle, tmp_path / "models")
    write(second, tmp_path / "models")
    names = {path.name for path in (tmp_path / "models").iterdir()}
    assert {"tiny-image", "org--second-image"} <= names
    assert len(names) == 12


def test_models_that_are_there_are_replaced_only_when_asked(bundle, tmp_path):
    out = tmp_path / "models"
    write(bundle, out, max_batch=4)
    with pytest.raises(SettingsError, match=r"tiny-image, .* already: --overwrite"):
        write(bundle, out, max_batch=16)
    assert "max_batch_size: 4\n" in config(out, "image")
    write(bundle, out, max_batch=16, overwrite=True)
    assert "max_batch_size: 16\n" in config(out, "image")
    assert sorted(path.name for path in out.iterdir()) == NAMES


def test_a_damaged_graph_is_named(bundle, tmp_path):
    folder = shutil.copytree(bundle.folder, tmp_path / "damaged")
    (folder / "image.onnx").write_bytes(b"no graph")
    with pytest.raises(BundleError, match=r"image\.onnx: onnxruntime cannot load it"):
        write(seal_bundle(folder, bundle.card), tmp_path / "models")


def test_a_bundle_or_a_file_is_no_repository(bundle, tmp_path):
    (tmp_path / "file").touch()
    for out in (bundle.folder, tmp_path / "file"):
        with pytest.raises(SettingsError, match="no model repository"):
            write(bundle, out)


def test_what_cannot_be_written_leaves_nothing(bundle, tmp_path, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise BundleError("no")

    monkeypatch.setattr(triton_towers, "check_graph", fail)
    with pytest.raises(BundleError):
        write(bundle, tmp_path / "models")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("variant", ["onnx", "openvino"])
@pytest.mark.parametrize("graph", ["image.onnx", "text.onnx"])
def test_graphs_with_other_tensors_are_left_to_the_python_variant(bundle, tmp_path, variant, graph):
    """A hub's ready exports take one row, int32 tokens or a mask, and have names of their own."""
    entry = replace(
        find_entry("ViT-B-32/openai"), image=bundle.card.image, text=bundle.card.text,
        embedding_dim=24,
    )  # fmt: skip
    folder = shutil.copytree(bundle.folder, tmp_path / "foreign")
    graphs = {
        "image.onnx": image_graph(entry, 1, ("pixels", "embeddings")),
        "text.onnx": text_graph(
            entry, "batch", ("input_ids", "text_embeds"), TensorProto.INT64, masked=True
        ),
    }
    (folder / graph).write_bytes(graphs[graph])
    foreign = seal_bundle(folder, bundle.card)
    with pytest.raises(BundleError, match=rf"{graph} takes .*: --variant python serves it"):
        write(foreign, tmp_path / "models", variant=variant)
    assert len(write(foreign, tmp_path / "models", variant="python")) == 6


def test_triton_batches_where_the_backend_can(bundle, tmp_path):
    write(bundle, tmp_path / "onnx", max_batch=32, instances=3)
    text = config(tmp_path / "onnx", "image")
    assert "preferred_batch_size: [8, 32]\n" in text
    assert "dims: [3, 16, 16]\n" in text
    assert "  count: 3\n  kind: KIND_CPU\n" in text
    # OpenVINO's backend fixes the batch where the server batches: there each request is a batch
    write(bundle, tmp_path / "openvino", variant="openvino", max_batch=32)
    text = config(tmp_path / "openvino", "image")
    assert "max_batch_size: 0\n" in text
    assert "dims: [-1, 3, 16, 16]\n" in text
    assert "dynamic_batching" not in text
    assert "max_batch_size: 32\n" in config(tmp_path / "openvino", "embed-image")


def test_accelerators_follow_the_device(bundle, tmp_path):
    write(bundle, tmp_path / "cpu", accelerate=True)
    assert 'cpu_execution_accelerator {\n      name: "openvino"' in config(tmp_path / "cpu", "text")
    write(bundle, tmp_path / "gpu", accelerate=True, device="gpu", precision="fp32")
    text = config(tmp_path / "gpu", "image")
    assert "kind: KIND_GPU\n" in text
    assert 'gpu_execution_accelerator {\n      name: "tensorrt"' in text
    assert 'key: "precision_mode"\n        value: "FP32"' in text
    assert 'key: "trt_profile_opt_shapes"\n        value: "pixels:16x3x16x16"' in text
    assert 'key: "trt_profile_max_shapes"\n        value: "tokens:64x12"' in config(
        tmp_path / "gpu", "text"
    )


def test_a_plan_is_built_for_each_tower(bundle, tmp_path, monkeypatch):
    built = []

    def build(graph, plan, *, precision, profile, context_length):
        assert context_length == 12
        built.append((graph.name, precision, profile.min, profile.opt, profile.max))
        plan.write_bytes(b"plan")

    monkeypatch.setattr(triton_towers, "write_plan", build)
    out = tmp_path / "models"
    write(bundle, out, variant="tensorrt", device="gpu", max_batch=32)
    assert built == [("image.onnx", "fp16", 1, 8, 32), ("text.onnx", "fp16", 1, 8, 32)]
    assert 'backend: "tensorrt"\n' in config(out, "image")
    assert (out / "tiny-text" / "1" / "model.plan").read_bytes() == b"plan"


def test_without_tensorrt_the_error_says_what_to_install(bundle, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'clipworks\[tensorrt\]'"):
        write(bundle, tmp_path / "models", variant="tensorrt", device="gpu")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"variant": "tflite"}, "variant 'tflite': expected one of onnx, openvino, tensorrt"),
        ({"device": "cuda"}, "device 'cuda': expected one of cpu, gpu"),
        ({"precision": "fp4"}, "precision 'fp4'"),
        ({"max_batch": 0}, "max_batch 0 and instances 1: expected 1 or more"),
        ({"variant": "tensorrt"}, "tensorrt runs on device gpu only"),
        ({"variant": "openvino", "device": "gpu"}, "openvino runs on device cpu only"),
        ({"variant": "python", "accelerate": True}, "accelerate goes with the variant onnx"),
    ],
)
def test_settings_that_do_not_go_together(settings, message):
    with pytest.raises(SettingsError, match=message):
        RepositorySettings(**settings)
