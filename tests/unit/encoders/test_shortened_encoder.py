import numpy as np
import pytest

from clipworks.errors import SettingsError
from tests.support.colours import COLOURS, colour_embedder, save_picture


def test_pictures_and_texts_are_cut_alike(tmp_path):
    embedder = colour_embedder()
    short = embedder.shortened(4)
    paths = [save_picture(tmp_path / f"{name}.png", name) for name in COLOURS]
    for whole, cut in (
        (embedder.embed_images(paths), short.embed_images(paths)),
        (embedder.embed_texts(["a red photo"]), short.embed_texts(["a red photo"])),
    ):
        expected = whole[:, :4] / np.linalg.norm(whole[:, :4], axis=1, keepdims=True)
        assert np.allclose(cut, expected, atol=1e-7)
    assert (short.embedding_dim, short.fingerprint) == (4, embedder.fingerprint)
    assert short.encoder.backend == "colours"


def test_nothing_is_cut_where_all_is_kept():
    embedder = colour_embedder()
    assert embedder.shortened(0) is embedder
    assert embedder.shortened(8) is embedder
    with pytest.raises(SettingsError, match="dim 9: the model gives 8"):
        embedder.shortened(9)
