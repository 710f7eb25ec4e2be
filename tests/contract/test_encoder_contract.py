"""What every encoder backend promises; each runs the same suite."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from clipworks.encoders.bundle import read_bundle
from clipworks.encoders.loading import BACKENDS
from clipworks.errors import InputError, SettingsError


@pytest.fixture(params=list(BACKENDS))
def encoder(request, tiny_bundle_folder):
    return BACKENDS.load(request.param)(read_bundle(tiny_bundle_folder), num_threads=1)


def pixels(count, size=16):
    return np.random.default_rng(1).normal(size=(count, 3, size, size)).astype(np.float32)


def tokens(count):
    batch = np.zeros((count, 12), np.int64)
    batch[:, :6] = np.random.default_rng(2).integers(3, 100, (count, 6))
    batch[:, 6] = 539
    return batch


@pytest.mark.parametrize("count", [1, 2, 7])
def test_rows_are_unit_float32(encoder, count):
    for rows in (encoder.encode_images(pixels(count)), encoder.encode_texts(tokens(count))):
        assert rows.shape == (count, 24)
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_no_rows_give_no_rows(encoder):
    assert encoder.encode_images(pixels(0)).shape == (0, 24)
    assert encoder.encode_texts(tokens(0)).shape == (0, 24)


def test_a_row_does_not_depend_on_its_neighbours(encoder):
    batch = pixels(6)
    np.testing.assert_allclose(
        encoder.encode_images(batch)[2:3], encoder.encode_images(batch[2:3]), atol=1e-6
    )


def test_memory_order_does_not_matter(encoder):
    batch = pixels(3)
    fortran = np.asfortranarray(batch)
    np.testing.assert_array_equal(encoder.encode_images(fortran), encoder.encode_images(batch))


def test_threads_may_share_it(encoder):
    batch = pixels(4)
    expected = encoder.encode_images(batch)
    with ThreadPoolExecutor(4) as threads:
        for rows in threads.map(encoder.encode_images, [batch] * 12):
            np.testing.assert_array_equal(rows, expected)


@pytest.mark.parametrize(
    "wrong", [pixels(2, size=17), pixels(2).astype(np.float64), pixels(2)[0], pixels(2)[:, :1]]
)
def test_wrong_pixels_are_told_what_is_expected(encoder, wrong):
    with pytest.raises(InputError, match=r"expected float32 \[image, 3, 16, 16\]"):
        encoder.encode_images(wrong)


@pytest.mark.parametrize(
    "wrong", [tokens(2)[:, :5], tokens(2).astype(np.float32), tokens(2)[0], tokens(2) + 10**6]
)
def test_wrong_tokens_are_told_what_is_expected(encoder, wrong):
    with pytest.raises(InputError, match="tokens"):
        encoder.encode_texts(wrong)


def test_an_unknown_device_is_refused(tiny_bundle_folder):
    with pytest.raises(SettingsError, match="device 'abacus'"):
        BACKENDS.load("onnx")(read_bundle(tiny_bundle_folder), device="abacus")
