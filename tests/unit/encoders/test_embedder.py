import numpy as np
import pytest
from PIL import Image

import clipworks
from clipworks.errors import InvalidImageError, InvalidTextError, UnknownModelError


@pytest.fixture(scope="module")
def embedder(tiny_bundle_folder):
    return clipworks.load(tiny_bundle_folder, num_threads=1)


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "red.png"
    Image.new("RGB", (20, 30), "red").save(path)
    return path


def test_paths_bytes_and_pictures_are_one(embedder, picture):
    rows = embedder.embed_images(
        [picture, str(picture), picture.read_bytes(), Image.open(picture)], batch_size=3
    )
    assert rows.shape == (4, embedder.embedding_dim)
    np.testing.assert_allclose(rows, rows[[0] * 4], atol=1e-6)


def test_the_order_is_kept(embedder):
    colours = [Image.new("RGB", (16, 16), (40 * i, 255 - 40 * i, 0)) for i in range(6)]
    together = embedder.embed_images(colours, batch_size=4)
    for picture, row in zip(colours, together, strict=True):
        np.testing.assert_allclose(embedder.embed_images([picture])[0], row, atol=1e-6)


def test_nothing_gives_no_rows(embedder):
    assert embedder.embed_images([]).shape == (0, 24)
    assert embedder.embed_texts([]).shape == (0, 24)


@pytest.mark.parametrize(("batch_size", "passes"), [(0, [8, 3]), (11, [11]), (5, [5, 5, 1])])
def test_batches_are_as_long_as_is_said_or_as_the_embedder_has_them(
    embedder, batch_size, passes, monkeypatch
):
    lengths, encode = [], embedder.encoder.encode_images

    def spy(pixels):
        lengths.append(len(pixels))
        return encode(pixels)

    monkeypatch.setattr(embedder.encoder, "encode_images", spy)
    embedder.embed_images([Image.new("RGB", (8, 8))] * 11, batch_size=batch_size)
    assert lengths == passes


def test_a_broken_picture_is_named(embedder, picture, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    with pytest.raises(InvalidImageError, match=r"broken\.jpg"):
        embedder.embed_images([picture, broken])


def test_what_is_no_text_is_named(embedder):
    with pytest.raises(InvalidTextError, match="text 1 is NoneType"):
        embedder.embed_texts(["a", None])


@pytest.mark.parametrize("given", ["a cat", 7, None])
def test_a_lone_text_or_picture_is_refused(embedder, given):
    with pytest.raises(TypeError, match="takes a list"):
        embedder.embed_texts(given)
    with pytest.raises(TypeError, match="takes a list"):
        embedder.embed_images(given)


def test_an_unknown_model_says_what_to_do():
    with pytest.raises(UnknownModelError, match="no-such-model"):
        clipworks.load("no-such-model")


def test_warming_up_loads_the_picture_tower_and_no_other(tiny_bundle_folder, monkeypatch):
    from clipworks.encoders.backends import onnx_encoder

    opened = []
    graph = onnx_encoder.OnnxGraph

    def spy(path, **options):
        opened.append(path.name)
        return graph(path, **options)

    monkeypatch.setattr(onnx_encoder, "OnnxGraph", spy)
    clipworks.load(tiny_bundle_folder).warm_up()
    assert opened == ["image.onnx"]
