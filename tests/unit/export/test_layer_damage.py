from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto

from clipworks.arrays import normalize_rows
from clipworks.encoders.bundle import read_bundle
from clipworks.encoders.catalog import find_entry
from clipworks.encoders.onnx_graph import OnnxGraph
from clipworks.export.graph_editor import read_graph
from clipworks.export.input_ranges import observe_ranges
from clipworks.export.layer_damage import measure_damage
from clipworks.export.parity import row_cosines
from clipworks.export.quantization import linear_layers, quantize_dynamic, quantize_static
from tests.support.tiny_exports import text_graph

END = 49407


def examples(bundle, tower):
    random = np.random.default_rng(0)
    if tower == "image":
        shape = (2, 6, 3, bundle.card.image.height, bundle.card.image.width)
        return [*random.normal(size=shape).astype(np.float32)]
    tokens = random.integers(3, 500, (2, 6, bundle.card.text.context_length))
    tokens[:, :, 5] = bundle.card.text.end_id
    return [*tokens]


def load(path, constants=None):
    return OnnxGraph(
        path,
        providers=["CPUExecutionProvider"],
        num_threads=1,
        end_id=END,
        constants=constants,
    )


def embed(path, batches):
    graph = load(path)
    return np.concatenate([normalize_rows(graph(batch)) for batch in batches])


@pytest.mark.parametrize("method", ["dynamic", "static"])
@pytest.mark.parametrize("tower", ["image", "text"])
def test_it_is_what_a_graph_with_that_layer_alone_shows(
    tiny_bundle_folder, tmp_path, tower, method
):
    """Each layer's graph is written and run by itself, as an independent way to the same number."""
    bundle = read_bundle(tiny_bundle_folder)
    path, batches = tiny_bundle_folder / f"{tower}.onnx", examples(bundle, tower)
    ranges = observe_ranges(read_graph(path), batches, tmp_path)

    def quantized(keep=()):
        graph = read_graph(path)
        if method == "dynamic":
            quantize_dynamic(graph, keep=keep)
        else:
            quantize_static(graph, ranges, keep=keep)
        return graph

    told = []
    damage = measure_damage(
        read_graph(path),
        quantized(),
        batches,
        tmp_path,
        load=load,
        tell=lambda *state: told.append(state),
    )
    layers = [layer.name for layer in linear_layers(read_graph(path))]
    assert list(damage) == layers
    assert told[-1] == (len(layers) - 1, len(layers))
    quantized(keep=layers).save(tmp_path / "none.onnx")  # but for the table of tokens
    reference = embed(tmp_path / "none.onnx", batches)
    for layer in layers:
        quantized(keep=set(layers) - {layer}).save(tmp_path / "one.onnx")
        alone = 1 - row_cosines(embed(tmp_path / "one.onnx", batches), reference).mean()
        assert damage[layer] == pytest.approx(alone, rel=1e-2, abs=1e-8)
    assert max(damage.values()) > 1e-6


def test_its_files_are_gone(tiny_bundle_folder, tmp_path):
    path = tiny_bundle_folder / "image.onnx"
    quantized = read_graph(path)
    quantize_dynamic(quantized)
    batches = examples(read_bundle(tiny_bundle_folder), "image")
    measure_damage(read_graph(path), quantized, batches, tmp_path, load=load, tell=lambda *_: None)
    assert list(tmp_path.iterdir()) == []


def test_an_export_of_others_with_a_mask_and_a_second_output(tmp_path):
    """Read as an encoder reads it: the mask is made, and the embedding found by its name."""
    path = tmp_path / "text.onnx"
    names = ("input_ids", "text_embeds")
    path.write_bytes(
        text_graph(
            find_entry("ViT-B-32/openai"), 1, names, TensorProto.INT32,
            masked=True, second="last_hidden_state",
        )
    )  # fmt: skip
    tokens = np.random.default_rng(0).integers(1, 400, (5, 77))
    tokens[:, 20] = END
    quantized = read_graph(path)
    quantize_dynamic(quantized)
    quantized.save(tmp_path / "int8.onnx")
    (layer,) = linear_layers(read_graph(path))
    damage = measure_damage(
        read_graph(path), quantized, [tokens], tmp_path, load=load, tell=lambda *_: None
    )
    cosines = row_cosines(embed(tmp_path / "int8.onnx", [tokens]), embed(path, [tokens]))
    assert damage == {layer.name: pytest.approx(1 - cosines.mean(), rel=1e-3)}
    assert damage[layer.name] > 1e-7
