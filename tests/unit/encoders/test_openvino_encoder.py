"""Graphs as others export them, in OpenVINO; ONNX Runtime says what is right."""

from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto

from clipworks.encoders.backend_table import BACKENDS
from clipworks.encoders.bundle import Bundle, read_bundle
from clipworks.encoders.bundle_store import find_stored
from clipworks.encoders.catalog import find_entry
from clipworks.encoders.onnx_graph import OnnxGraph
from clipworks.errors import BundleError, InputError
from clipworks.inputs.text_tokenizer import TextTokenizer
from tests.support import tiny_exports

pytest.importorskip("openvino", reason="pip install 'clipworks[openvino]' brings it")
ENTRY = find_entry("ViT-B-32/openai")
TOKENS = np.random.default_rng(0).integers(1, 400, (5, 77))
TOKENS[:, 20] = 49407
NAMES = ("input_ids", "text_embeds")


@pytest.fixture
def as_bundle(tmp_path):
    """A bundle of one text graph."""
    card = read_bundle(find_stored("pictograms"), check_hashes=False).card
    text = replace(card.text, context_length=77, end_id=49407)
    card = replace(
        card, text=text, embedding_dim=ENTRY.embedding_dim, precision="fp32", ignores_padding=False
    )

    def as_bundle(content: bytes) -> Bundle:
        (tmp_path / "text.onnx").write_bytes(content)
        return Bundle(tmp_path, card)

    return as_bundle


@pytest.mark.parametrize(
    ("batch", "dtype", "masked"),
    [
        ("batch", TensorProto.INT64, True),
        ("batch", TensorProto.INT32, False),
        (1, TensorProto.INT32, False),
        (2, TensorProto.INT64, True),
    ],
)
def test_exports_of_others(as_bundle, batch, dtype, masked):
    content = tiny_exports.text_graph(ENTRY, batch, NAMES, dtype, masked=masked)
    bundle = as_bundle(content)
    graph = OnnxGraph(
        bundle.text_graph, providers=["CPUExecutionProvider"], num_threads=1, end_id=49407
    )
    expected = graph(TOKENS)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    rows = BACKENDS.load("openvino")(bundle, num_threads=1).encode_texts(TOKENS)
    np.testing.assert_allclose(rows, expected, atol=1e-5)


def test_a_graph_that_is_none_is_refused(as_bundle):
    with pytest.raises(BundleError, match=r"text\.onnx: OpenVINO cannot load it"):
        BACKENDS.load("openvino")(as_bundle(b"nonsense")).encode_texts(TOKENS)


def test_an_id_outside_the_table_is_refused_although_openvino_would_take_it():
    bundle = read_bundle(find_stored("pictograms"), check_hashes=False)
    encoder = BACKENDS.load("openvino")(bundle, num_threads=1)
    tokens = np.zeros((1, bundle.card.text.context_length), np.int64)
    vocab_size = TextTokenizer(bundle.tokenizer, bundle.card.text).vocab_size
    tokens[0, 0] = vocab_size - 1
    assert encoder.encode_texts(tokens).shape == (1, 192)
    for foreign in (vocab_size, -1):
        tokens[0, 0] = foreign
        with pytest.raises(InputError, match="outside the model's vocabulary"):
            encoder.encode_texts(tokens)
