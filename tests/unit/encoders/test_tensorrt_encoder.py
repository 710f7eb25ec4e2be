"""The encoder's own part, on a stand-in for TensorRT; the contract suite runs on it, too."""

import numpy as np
import pytest

from clipworks.encoders.backend_table import BACKENDS
from clipworks.encoders.bundle import read_bundle
from clipworks.encoders.bundle_store import find_stored
from clipworks.errors import SettingsError
from tests.support.tensorrt_stand_in import tensorrt_stand_in


@pytest.fixture(scope="module")
def bundle():
    return read_bundle(find_stored("pictograms"), check_hashes=False)


@pytest.fixture
def built():
    with tensorrt_stand_in() as paths:
        yield paths


def pixels(count):
    return np.random.default_rng(0).normal(size=(count, 3, 64, 64)).astype(np.float32)


def test_engines_are_built_once_and_kept(bundle, built):
    for _ in range(2):
        encoder = BACKENDS.load("tensorrt")(bundle, device="cuda")
        assert built == [str(bundle.image_graph)] or not built
        encoder.encode_images(pixels(2))
        encoder.encode_images(pixels(1))
    assert built == [str(bundle.image_graph)]
    BACKENDS.load("tensorrt")(bundle, device="cuda", precision="fp16").encode_images(pixels(1))
    assert len(built) == 2


def test_large_batches_go_in_parts(bundle, built):
    encoder = BACKENDS.load("tensorrt")(bundle)
    batch = pixels(70)
    rows = encoder.encode_images(batch)
    assert rows.shape == (70, 192)
    np.testing.assert_allclose(rows[69:], encoder.encode_images(batch[69:]), atol=1e-6)


def test_it_runs_on_cuda_only(bundle, built):
    with pytest.raises(SettingsError, match="the tensorrt backend runs on cuda"):
        BACKENDS.load("tensorrt")(bundle, device="cpu")


def test_a_failing_gpu_is_told(bundle, built):
    encoder = BACKENDS.load("tensorrt")(bundle)
    encoder.encode_images(pixels(1))
    (engine,) = encoder._engines.values()
    engine._stream = 8  # no stream of this device
    with pytest.raises(SettingsError, match="the GPU failed: cudaErrorInvalidValue"):
        encoder.encode_images(pixels(1))
