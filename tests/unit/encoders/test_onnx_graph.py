"""Graphs as others export them: what they take, what they give."""

import numpy as np
import pytest
from onnx import TensorProto

from clipworks.encoders.catalog import find_entry
from clipworks.encoders.onnx_graph import OnnxGraph
from clipworks.errors import BundleError
from tests.support import tiny_exports

ENTRY = find_entry("ViT-B-32/openai")
TOKENS = np.random.default_rng(0).integers(1, 400, (5, 77))
TOKENS[:, 20] = 49407


@pytest.fixture
def open_graph(tmp_path):
    def open_graph(content: bytes) -> OnnxGraph:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.onnx"
        path.write_bytes(content)
        return OnnxGraph(path, providers=["CPUExecutionProvider"], num_threads=1, end_id=49407)

    return open_graph


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 8, "batch"])
@pytest.mark.parametrize("dtype", [TensorProto.INT32, TensorProto.INT64])
def test_any_batch_on_any_graph(open_graph, batch, dtype):
    names = ("text", "embedding")
    graph = open_graph(tiny_exports.text_graph(ENTRY, batch, names, dtype))
    usual = open_graph(tiny_exports.text_graph(ENTRY, "batch", names, TensorProto.INT64))
    np.testing.assert_allclose(graph(TOKENS), usual(TOKENS), rtol=1e-4, atol=1e-5)


def test_a_mask_ends_with_the_end_token(open_graph):
    names = ("input_ids", "text_embeds")
    masked = open_graph(
        tiny_exports.text_graph(ENTRY, "batch", names, TensorProto.INT64, masked=True)
    )
    plain = open_graph(tiny_exports.text_graph(ENTRY, "batch", names, TensorProto.INT64))
    seen = TOKENS.copy()
    seen[:, 21:] = 0
    np.testing.assert_allclose(masked(TOKENS), plain(seen), rtol=1e-4, atol=1e-5)


def test_the_embedding_is_found_by_name(open_graph):
    names = ("pixel_values", "image_embeds")
    two = open_graph(tiny_exports.image_graph(ENTRY, "batch", names, second="last_hidden_state"))
    assert two(np.zeros((2, 3, 224, 224), np.float32)).shape == (2, 512)
    pooled = tiny_exports.image_graph(
        ENTRY, "batch", ("pixel_values", "pooler_output"), second="last_hidden_state"
    )
    with pytest.raises(BundleError, match="gives last_hidden_state, pooler_output: expected one"):
        open_graph(pooled)


def test_arrays_of_another_kind_are_refused(open_graph):
    graph = open_graph(tiny_exports.image_graph(ENTRY, 1, ("image", "embedding")))
    with pytest.raises(BundleError, match=r"takes image as tensor\(float\), not int64"):
        graph(TOKENS)
