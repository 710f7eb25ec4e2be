"""The exported `model.py` files, run as Triton's Python stub runs them."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from clipworks.encoders.bundle import read_bundle
from clipworks.encoders.loading import load
from clipworks.export.triton_repository import write_repository
from clipworks.export.triton_towers import RepositorySettings
from tests.support import triton_python
from tests.support.triton_python import as_bytes_tensor, ask, start_model

TOWER = {"backend": "onnx", "device": "cpu"}


@pytest.fixture
def repository(tiny_bundle_folder, tmp_path, monkeypatch):
    triton_python.install(monkeypatch)
    settings = RepositorySettings(variant="python")
    write_repository(read_bundle(tiny_bundle_folder), tmp_path / "models", settings)
    return tmp_path / "models"


@pytest.fixture
def model(tiny_bundle_folder):
    return load(tiny_bundle_folder, backend="onnx")


def picture(colour: str, size: tuple[int, int] = (40, 24)) -> bytes:
    stream = BytesIO()
    Image.new("RGB", size, colour).save(stream, "png")
    return stream.getvalue()


def only_array(response) -> np.ndarray:
    assert response.error() is None, response.error().message()
    (tensor,) = response.output_tensors()
    return tensor.as_numpy()


def test_pictures_become_our_pixels(repository, model):
    served = start_model(repository / "tiny-preprocess")
    pictures = [picture("red"), picture("blue", (9, 50)), picture("green")]
    two, one = ask(served, "image", as_bytes_tensor(*pictures[:2]), as_bytes_tensor(pictures[2]))
    served.finalize()
    expected = np.stack([model.read_pixels(content) for content in pictures])
    np.testing.assert_array_equal(only_array(two), expected[:2])
    np.testing.assert_array_equal(only_array(one), expected[2:])
    assert two.output_tensors()[0].name() == "pixels"


def test_a_broken_picture_fails_its_own_request_only(repository):
    served = start_model(repository / "tiny-preprocess")
    broken, whole = ask(
        served, "image", as_bytes_tensor(picture("red"), b"no picture"),
        as_bytes_tensor(picture("red")),
    )  # fmt: skip
    served.finalize()
    assert broken.error().code() == "INVALID_ARG"
    assert "is not a picture that can be read" in broken.error().message()
    assert only_array(whole).shape == (1, 3, 16, 16)


def test_texts_become_our_tokens(repository, model):
    served = start_model(repository / "tiny-tokenize")
    texts = ["a red square", "the yellow sün"]
    rows = as_bytes_tensor(*(text.encode() for text in texts))
    wrong, right = ask(served, "text", as_bytes_tensor(b"\xff\xfe"), rows)
    assert wrong.error().message().startswith("a text is not UTF-8")
    np.testing.assert_array_equal(only_array(right), model.tokenizer(texts))
    assert only_array(right).dtype == np.int64


@pytest.mark.parametrize("instances", [1, 1000])
def test_the_towers_answer_requests_together(repository, model, instances):
    pixels = np.random.default_rng(0).normal(size=(5, 3, 16, 16)).astype(np.float32)
    served = start_model(repository / "tiny-image", parameters=TOWER, instances=instances)
    answers = ask(served, "pixels", pixels[:1], pixels[1:4], pixels[4:])
    assert [len(only_array(answer)) for answer in answers] == [1, 3, 1]
    together = np.concatenate([only_array(answer) for answer in answers])
    np.testing.assert_allclose(together, model.encoder.encode_images(pixels), atol=1e-6)

    tokens = model.tokenizer(["a red square", "a green circle"])
    served = start_model(repository / "tiny-text", parameters=TOWER, instances=instances)
    (answer,) = ask(served, "tokens", tokens)
    np.testing.assert_allclose(only_array(answer), model.encoder.encode_texts(tokens), atol=1e-6)
    assert answer.output_tensors()[0].name() == "embeddings"
