import numpy as np
import pytest

from clipworks.encoders.graph_signature import GraphInput, GraphSignature, mask_after
from clipworks.errors import BundleError

INT64 = GraphInput("i64", np.int64, None)


def test_masks():
    tokens = np.array([[1, 2, 9, 0, 0], [1, 9, 9, 3, 9], [1, 2, 3, 4, 5]])
    expected = [[1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 1, 1]]
    np.testing.assert_array_equal(mask_after(tokens, 9), expected)
    np.testing.assert_array_equal(mask_after(tokens, None), np.ones((3, 5)))


def find(tmp_path, inputs, outputs=("embeddings",)):
    return GraphSignature.find(tmp_path / "text.onnx", inputs, outputs)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, None])
def test_a_graph_of_one_batch_size_gets_parts_of_it(tmp_path, size):
    seen = []

    def forward(feeds):
        seen.append(feeds["tokens"].shape[0])
        return feeds["tokens"][:, :1].astype(np.float32)

    signature = find(tmp_path, {"tokens": GraphInput("i32", np.int32, size)})
    batch = np.arange(20).reshape(5, 4)
    rows = signature.run(batch, forward, end_id=None)
    np.testing.assert_array_equal(rows[:, 0], batch[:, 0])
    assert set(seen) == {size or 5}


def test_a_mask_is_made_in_its_own_type(tmp_path):
    mask = GraphInput("i32", np.int32, None)
    signature = find(tmp_path, {"attention_mask": mask, "input_ids": INT64})
    feeds = []
    batch = np.array([[1, 9, 0]])
    signature.run(batch, lambda given: feeds.append(given) or np.zeros((1, 2)), end_id=9)
    assert feeds[0]["attention_mask"].dtype == np.int32
    np.testing.assert_array_equal(feeds[0]["attention_mask"], [[1, 1, 0]])


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ({"a": INT64, "b": INT64}, ["embeddings"]),
        ({}, ["embeddings"]),
        ({"a": INT64}, ["pooled", "hidden"]),
        ({"a": INT64}, ["embeddings", "image_embeds"]),
    ],
)
def test_what_is_no_tower_is_refused(tmp_path, inputs, outputs):
    with pytest.raises(BundleError, match=r"text\.onnx"):
        find(tmp_path, inputs, outputs)


def test_another_type_is_refused(tmp_path):
    signature = find(tmp_path, {"tokens": INT64})
    with pytest.raises(BundleError, match="takes tokens as i64, not float32"):
        signature.run(np.zeros((1, 2), np.float32), lambda feeds: feeds["tokens"], end_id=None)
