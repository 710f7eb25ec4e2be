"""What every encoder backend promises; each runs the same suite, on two models."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest

from clipworks.devices import describe_cpu
from clipworks.encoders.backend_table import BACKEND_FACTS, BACKENDS, DEVICE_LISTS
from clipworks.encoders.bundle import Bundle, read_bundle
from clipworks.encoders.bundle_store import find_stored
from clipworks.errors import InputError, SettingsError
from tests.support.kserve_server import Models, serving_grpc, serving_http
from tests.support.tensorrt_stand_in import tensorrt_stand_in

SERVERS = {"kserve-http": serving_http, "kserve-grpc": serving_grpc}
CASES = [
    "onnx",
    "openvino",
    "torch",
    "kserve-http",
    "kserve-grpc",
    "tensorrt-stand-in",
    pytest.param(
        "torch-compile",
        marks=[
            pytest.mark.slow,
            # torch's compiler imports modules of its own that torch has deprecated
            pytest.mark.filterwarnings("ignore:.torch.jit.script_method.:DeprecationWarning"),
        ],
    ),
    pytest.param("tensorrt", marks=pytest.mark.gpu),
]
MODELS = ["tiny", "pictograms"]


@pytest.fixture(scope="module", params=MODELS)
def bundle(request, tiny_bundle_folder):
    folder = tiny_bundle_folder if request.param == "tiny" else find_stored(request.param)
    return read_bundle(folder, check_hashes=False)


@pytest.fixture(scope="module")
def reference(bundle):
    return BACKENDS.load("onnx")(bundle, num_threads=1)


@pytest.fixture(scope="module", params=CASES)
def encoder(request, bundle, reference, tmp_path_factory):
    if request.param == "onnx":
        yield reference
        return
    backend = backend_of(request.param)
    options = {"num_threads": 1}
    with ExitStack() as stack:
        if serving := SERVERS.get(request.param):
            options["device"] = stack.enter_context(serving(Models(bundle.card.name, reference)))
        elif backend == "tensorrt":
            options["device"] = "cuda"
        if request.param == "tensorrt-stand-in":
            stack.enter_context(tensorrt_stand_in())
            cache = {"CLIPWORKS_CACHE": str(tmp_path_factory.mktemp("engines"))}
            stack.enter_context(mock.patch.dict(os.environ, cache))
        else:
            skip_without(backend)
        yield BACKENDS.load(backend)(bundle, **options)


def backend_of(case: str) -> str:
    return case if case in BACKENDS else case.split("-")[0]


def skip_without(backend: str) -> None:
    facts = BACKEND_FACTS[backend.removesuffix("-compile")]
    if not facts.installed:
        pytest.skip(f"pip install '{facts.pip}' brings {backend}")


def test_every_backend_is_a_case():
    cases = {case if isinstance(case, str) else case.values[0] for case in CASES}
    assert {backend_of(case) for case in cases} == set(BACKENDS)


def pixels(bundle, count):
    spec = bundle.card.image
    shape = (count, 3, spec.height, spec.width)
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def tokens(bundle, count):
    text = bundle.card.text
    batch = np.full((count, text.context_length), text.pad_id, np.int64)
    batch[:, :6] = np.random.default_rng(2).integers(3, 100, (count, 6))
    batch[:, 0], batch[:, 6] = text.start_id, text.end_id
    return batch


@pytest.mark.parametrize("count", [1, 2, 7])
def test_rows_are_unit_float32(encoder, bundle, count):
    for rows in (
        encoder.encode_images(pixels(bundle, count)),
        encoder.encode_texts(tokens(bundle, count)),
    ):
        assert rows.shape == (count, bundle.card.embedding_dim)
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("count", [1, 40])
def test_all_backends_agree(encoder, reference, bundle, count):
    for got, expected in (
        (
            encoder.encode_images(pixels(bundle, count)),
            reference.encode_images(pixels(bundle, count)),
        ),
        (
            encoder.encode_texts(tokens(bundle, count)),
            reference.encode_texts(tokens(bundle, count)),
        ),
    ):
        np.testing.assert_allclose(got, expected, atol=1e-5)


def test_no_rows_give_no_rows(encoder, bundle):
    empty = (0, bundle.card.embedding_dim)
    assert encoder.encode_images(pixels(bundle, 0)).shape == empty
    assert encoder.encode_texts(tokens(bundle, 0)).shape == empty


def test_a_row_does_not_depend_on_its_neighbours(encoder, bundle):
    batch = pixels(bundle, 6)
    np.testing.assert_allclose(
        encoder.encode_images(batch)[2:3], encoder.encode_images(batch[2:3]), atol=2e-6
    )


def test_a_text_does_not_depend_on_longer_ones(encoder, bundle):
    batch = tokens(bundle, 4)
    batch[3, 6:] = 5  # fills the context, and does not end
    for short in (batch[:1], batch[:3]):
        np.testing.assert_allclose(
            encoder.encode_texts(short), encoder.encode_texts(batch)[: len(short)], atol=2e-6
        )


def test_memory_order_does_not_matter(encoder, bundle):
    batch = pixels(bundle, 3)
    fortran = np.asfortranarray(batch)
    np.testing.assert_array_equal(encoder.encode_images(fortran), encoder.encode_images(batch))


def test_the_batch_stays_as_it_is_and_the_rows_are_the_callers(encoder, bundle):
    batch = pixels(bundle, 2)
    batch.flags.writeable = False
    first = encoder.encode_images(batch)
    kept = first.copy()
    encoder.encode_images(pixels(bundle, 3)[1:])
    np.testing.assert_array_equal(first, kept)


def test_threads_may_share_it(encoder, bundle):
    batches = [pixels(bundle, 4) + shift for shift in range(3)]
    expected = [encoder.encode_images(batch) for batch in batches]
    with ThreadPoolExecutor(8) as threads:
        for place, rows in enumerate(threads.map(encoder.encode_images, batches * 8)):
            np.testing.assert_allclose(rows, expected[place % 3], atol=1e-6)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda batch: batch[:, :, :-1], id="one line too few"),
        pytest.param(lambda batch: batch.astype(np.float64), id="float64"),
        pytest.param(lambda batch: batch[0], id="one picture, no batch"),
        pytest.param(lambda batch: batch[:, :1], id="grey"),
    ],
)
def test_wrong_pixels_are_told_what_is_expected(encoder, bundle, spoil):
    with pytest.raises(InputError, match=r"expected float32 \[image, 3, "):
        encoder.encode_images(spoil(pixels(bundle, 2)))


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda batch: batch[:, :5], id="short context"),
        pytest.param(lambda batch: batch.astype(np.float32), id="float32"),
        pytest.param(lambda batch: batch[0], id="one text, no batch"),
        pytest.param(lambda batch: batch + 10**6, id="no such token"),
    ],
)
def test_wrong_tokens_are_told_what_is_expected(encoder, bundle, spoil):
    with pytest.raises(InputError, match="tokens"):
        encoder.encode_texts(spoil(tokens(bundle, 2)))


def test_it_says_what_runs(encoder):
    assert any(encoder.backend.startswith(name) for name in BACKENDS)
    assert "(" in encoder.backend


@pytest.mark.parametrize("backend", ["onnx", "openvino", "torch", "kserve"])
def test_an_unknown_device_is_refused(bundle, backend):
    skip_without(backend)
    with pytest.raises(SettingsError, match="device 'abacus'"):
        BACKENDS.load(backend)(bundle, device="abacus")


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_bf16_is_close_or_refused(bundle, reference, backend):
    skip_without(backend)
    try:
        encoder = BACKENDS.load(backend)(bundle, precision="bf16", num_threads=1)
    except SettingsError as error:
        pytest.skip(f"this processor has no bf16: {error}")
    for got, expected in (
        (encoder.encode_images(pixels(bundle, 4)), reference.encode_images(pixels(bundle, 4))),
        (encoder.encode_texts(tokens(bundle, 4)), reference.encode_texts(tokens(bundle, 4))),
    ):
        cosines = (got * expected).sum(axis=1)
        assert cosines.min() >= 0.999
        assert np.abs(got - expected).max() > 1e-5, "computed in fp32 after all"


@pytest.mark.parametrize(
    ("backend", "computed"), [("onnx", "fp32"), ("openvino", "bf16"), ("torch", "bf16")]
)
def test_a_bundle_in_bf16_is_computed_in_bf16_where_that_can_be(bundle, backend, computed):
    skip_without(backend)
    stored = Bundle(bundle.folder, replace(bundle.card, precision="bf16"))
    encoder = BACKENDS.load(backend)(stored, num_threads=1)
    assert encoder.backend.endswith(f"{computed if describe_cpu().has_bf16 else 'fp32'})")


def test_a_device_that_this_build_lacks_says_what_to_install(bundle):
    onnx = BACKENDS.load("onnx")
    devices = BACKEND_FACTS["onnx"].candidate_for
    lacking = [name for name in devices if name not in DEVICE_LISTS.load("onnx")()]
    for device in lacking:
        with pytest.raises(SettingsError, match=r"this onnxruntime was built for .*: pip "):
            onnx(bundle, device=device)
