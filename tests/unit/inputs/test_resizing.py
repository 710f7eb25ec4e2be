import resource

import numpy as np
import pytest
from PIL import Image

from clipworks.inputs import resizing
from clipworks.inputs.resizing import fit, resized_size
from clipworks.inputs.specs import ImageSpec
from tests.unit.inputs.pictures import noise, smooth


@pytest.mark.parametrize(
    ("size", "target", "resize", "expected"),
    [
        ((640, 480), (224, 224), "shortest", (298, 224)),  # 298.67, cut as torchvision does
        ((480, 640), (224, 224), "shortest", (224, 298)),
        ((640, 480), (224, 224), "longest", (224, 168)),
        ((640, 480), (224, 224), "squash", (224, 224)),
        ((640, 479), (32, 64), "shortest", (64, 48)),  # 47.9, rounded as open_clip does
        ((640, 480), (64, 32), "shortest", (85, 64)),
        ((10_000, 1), (224, 224), "longest", (224, 1)),  # open_clip fails on a height of 0
    ],
)
def test_sizes_before_cropping(size, target, resize, expected):
    assert resized_size(size, ImageSpec(*target, resize=resize)) == expected


@pytest.mark.parametrize("resize", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (32, 48), (31, 33), (500, 400)])
@pytest.mark.parametrize("mode", ["RGB", "P", "1", "LA", "I;16"])
def test_any_shape_fits_exactly(resize, size, mode):
    fitted = fit(Image.new(mode, size), ImageSpec(height=48, width=32, resize=resize))
    assert (fitted.mode, fitted.size) == (mode, (32, 48))


def test_padding_has_the_fill_and_the_picture_in_the_middle():
    fitted = np.asarray(fit(Image.new("RGB", (8, 4), "red"), ImageSpec(8, 8, "longest", fill=7)))
    assert np.array_equal(fitted[2:6], np.broadcast_to((255, 0, 0), (4, 8, 3)))
    assert (fitted[:2] == 7).all()
    assert (fitted[6:] == 7).all()


@pytest.mark.parametrize("size", [(40, 1200), (1200, 40), (3, 400), (400, 3)])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear", "lanczos"])
def test_resizing_the_crop_alone_gives_nearly_the_same(size, interpolation, monkeypatch):
    spec = ImageSpec(32, 32, interpolation=interpolation)
    image = smooth(*size)
    whole = np.asarray(fit(image, spec), np.int16)
    monkeypatch.setattr(resizing, "MAX_RESIZED_PIXELS", 0)
    difference = np.abs(np.asarray(fit(image, spec), np.int16) - whole)
    assert difference.max() <= 3
    assert difference.mean() < 0.1


SHAPES = [(90, 60), (60, 90), (61, 250), (250, 61), (33, 200), (20, 31), (31, 20), (64, 64), (7, 3)]


@pytest.mark.parametrize("size", SHAPES)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "YCbCr", "RGBA", "LA"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear", "lanczos", "nearest"])
def test_what_the_crop_leaves_out_changes_no_bit(size, mode, interpolation):
    spec = ImageSpec(24, 24, interpolation=interpolation)
    image = noise(*size).convert(mode)
    width, height = resized_size(size, spec)
    left, top = round((width - 24) / 2), round((height - 24) / 2)
    whole = image.resize((width, height), Image.Resampling[interpolation.upper()])
    expected = whole.crop((left, top, left + 24, top + 24))
    fitted = fit(image, spec)
    assert (fitted.mode, fitted.tobytes()) == (mode, expected.tobytes())


@pytest.mark.parametrize(("size", "rows"), [((90, 60), 60), ((60, 90), 78), ((48, 480), 480)])
def test_rows_that_the_crop_does_not_depend_on_are_not_resized(size, rows, monkeypatch):
    image, heights, resize = smooth(*size), [], Image.Image.resize

    def spy(image, *arguments, **options):
        heights.append(image.height)
        return resize(image, *arguments, **options)

    monkeypatch.setattr(Image.Image, "resize", spy)
    fit(image, ImageSpec(24, 24))
    assert heights[0] == rows  # of the pass across


def test_nearest_picks_the_right_places_in_a_crop(monkeypatch):
    monkeypatch.setattr(resizing, "MAX_RESIZED_PIXELS", 0)
    image = Image.fromarray(np.arange(64, dtype=np.uint8)[None].repeat(4, axis=0))
    fitted = np.asarray(fit(image, ImageSpec(4, 4, interpolation="nearest")))
    assert fitted.tolist() == [[30, 31, 32, 33]] * 4


@pytest.mark.parametrize("resize", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size", [(1, 10_000), (10_000, 1), (1_000_000, 1), (1_000_000, 30)])
def test_extreme_shapes_take_little_memory(resize, size):
    image = Image.new("L", size, 77)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fitted = np.asarray(fit(image, ImageSpec(224, 224, resize=resize)))
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert (fitted == 77).any()
    assert grown_mb < 120


def test_a_picture_of_the_right_size_keeps_every_pixel():
    image = noise(32, 32)
    assert np.array_equal(fit(image, ImageSpec(32, 32)), image)
