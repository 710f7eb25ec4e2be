import importlib.util
import platform
from concurrent.futures import ThreadPoolExecutor

import cykooz_resizer
import numpy as np
import pytest
from cykooz_resizer import CpuExtensions
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clipworks.errors import MissingExtraError
from clipworks.inputs.images import ImageTransform
from clipworks.inputs.resizing import fit
from clipworks.inputs.specs import ImageSpec
from tests.unit.inputs.pictures import noise, smooth

RESIZES = ["shortest", "longest", "squash"]
INTERPOLATIONS = ["bicubic", "bilinear", "lanczos"]


def levels_apart(image, spec):
    exact, fast = fit(image, spec), fit(image, spec, fast=True)
    assert (fast.mode, fast.size) == (exact.mode, exact.size)
    return np.abs(np.asarray(fast, np.int16) - np.asarray(exact, np.int16))


@given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    target=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    resize=st.sampled_from(RESIZES),
    interpolation=st.sampled_from(INTERPOLATIONS),
    rounding=st.sampled_from(["nearest", "down"]),
    mode=st.sampled_from(["RGB", "L"]),
)
@settings(max_examples=300, deadline=None)
def test_no_level_is_far_from_pillows(size, target, resize, interpolation, rounding, mode):
    spec = ImageSpec(*target, resize=resize, interpolation=interpolation, crop_rounding=rounding)
    assert levels_apart(noise(*size).convert(mode), spec).max() <= 2  # one for each pass


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("size", [(1200, 800), (800, 1200), (640, 2000), (300, 300), (100, 90)])
def test_few_levels_are_others_than_pillows(size, interpolation):
    for image in (noise(*size), smooth(*size)):
        apart = levels_apart(image, ImageSpec(224, 224, interpolation=interpolation))
        assert apart.max() <= 2
        assert (apart > 0).mean() < 0.03


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "CMYK", "I;16", "1"])
def test_other_colour_modes_are_pillows(mode):
    image = noise(90, 60).convert("L").convert(mode) if mode == "I;16" else noise(90, 60)
    assert not levels_apart(image.convert(mode), ImageSpec(24, 24)).any()


def test_nearest_is_pillows():
    assert not levels_apart(noise(90, 61), ImageSpec(24, 24, interpolation="nearest")).any()


def test_a_picture_of_the_right_size_keeps_every_pixel():
    assert np.array_equal(fit(noise(32, 32), ImageSpec(32, 32), fast=True), noise(32, 32))


def test_pictures_that_pillow_keeps_in_several_blocks_are_resized():
    assert levels_apart(noise(4096, 2048), ImageSpec(224, 224)).max() <= 2  # blocks are of 16 MB


def test_pictures_that_pillow_maps_are_resized(tmp_path):
    noise(90, 60).save(tmp_path / "a.bmp")
    with Image.open(tmp_path / "a.bmp") as image:
        assert levels_apart(image, ImageSpec(24, 24)).max() <= 2


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("size", [(1, 1), (1, 10_000), (10_000, 1), (1_000_000, 1), (1, 1_000_000)])
def test_extreme_shapes_are_resized(resize, size):
    fitted = fit(Image.new("L", size, 77), ImageSpec(224, 224, resize=resize), fast=True)
    assert fitted.size == (224, 224)
    assert (np.asarray(fitted) == 77).any()


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names x86's extensions")
@pytest.mark.parametrize(
    "extension", [CpuExtensions.none, CpuExtensions.sse4_1, CpuExtensions.avx2]
)
def test_all_processors_give_the_same_levels(extension, monkeypatch):
    class Older(cykooz_resizer.Resizer):
        def __init__(self):
            super().__init__()
            self.cpu_extensions = extension

    spec, image = ImageSpec(48, 48), noise(331, 457)
    usual = fit(image, spec, fast=True).tobytes()
    monkeypatch.setattr(cykooz_resizer, "Resizer", Older)
    assert fit(image, spec, fast=True).tobytes() == usual


def test_threads_do_not_disturb_each_other():
    spec, pictures = ImageSpec(48, 48), [noise(200 + n, 300 - n) for n in range(64)]
    alone = [fit(picture, spec, fast=True).tobytes() for picture in pictures]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda picture: fit(picture, spec, fast=True), pictures))
    assert [picture.tobytes() for picture in together] == alone


def test_pixels_are_nearly_the_same_and_not_resized_by_pillow(monkeypatch):
    spec, image = ImageSpec(64, 64), smooth(500, 300)
    exact = ImageTransform(spec)(image)
    monkeypatch.setattr(Image.Image, "resize", None)
    fast = ImageTransform(spec, fast_resize=True)(image)
    assert 0 < np.abs(fast - exact).max() < 2 / 255 / min(spec.std) + 1e-6


def test_where_the_library_is_missing_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install cykooz-resizer, or .*--exact-resize"):
        ImageTransform(ImageSpec(8, 8), fast_resize=True)
