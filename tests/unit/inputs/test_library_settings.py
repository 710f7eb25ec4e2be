import pytest

from clipworks.errors import CheckpointError
from clipworks.inputs.library_settings import (
    read_open_clip_settings,
    read_transformers_settings,
    sides_of,
)
from clipworks.inputs.specs import ImageSpec

USUAL = ImageSpec(height=32, width=32, mean=(0.1, 0.2, 0.3))


def test_what_is_not_stated_is_as_usual():
    assert read_open_clip_settings({}, USUAL) == USUAL
    assert read_transformers_settings({}, USUAL) == USUAL


def test_an_exact_size_is_squashed_also_where_a_crop_follows():
    stated = {"size": {"height": 32, "width": 32}, "crop_size": 32, "do_center_crop": True}
    assert read_transformers_settings(stated, USUAL).resize == "squash"


@pytest.mark.parametrize(
    ("asked", "sides"),
    [
        (5, (5, 5)),
        ([5, 6], (5, 6)),
        ({"height": 5, "width": 6}, (5, 6)),
        ({"shortest_edge": 5}, (5, 5)),
    ],
)
def test_a_size_is_written_in_many_ways(asked, sides):
    assert sides_of(asked) == sides


@pytest.mark.parametrize("asked", [None, "5", [5], {}, {"height": 5}, [5, "6"]])
def test_what_is_no_size_is_refused(asked):
    with pytest.raises(CheckpointError, match="size is stated as"):
        sides_of(asked)


@pytest.mark.parametrize("read", [read_open_clip_settings, read_transformers_settings])
@pytest.mark.parametrize("colour", [0.5, [0.5], ["a", "b", "c"], None])
def test_what_is_no_colour_is_refused(read, colour):
    with pytest.raises(CheckpointError, match="colour is stated as"):
        read({"mean": colour, "image_mean": colour}, USUAL)


def test_what_keeps_the_aspect_uncropped_is_refused():
    with pytest.raises(CheckpointError, match="does not crop"):
        read_transformers_settings({"size": 32, "do_center_crop": False}, USUAL)


def test_a_processors_class_has_its_own_defaults():
    siglip = read_transformers_settings({"image_processor_type": "SiglipImageProcessor"}, USUAL)
    assert (siglip.height, siglip.width, siglip.resize) == (224, 224, "squash")
    assert (siglip.interpolation, siglip.mean) == ("bicubic", (0.5, 0.5, 0.5))
    size = {"height": 32, "width": 32}
    newer = {"image_processor_type": "Siglip2ImageProcessorFast", "size": size}
    assert read_transformers_settings(newer, USUAL).interpolation == "bilinear"


def test_what_is_stated_as_null_is_left_out():
    stated = {"do_center_crop": None, "crop_size": None, "size": {"height": 8, "width": 8}}
    spec = read_transformers_settings({**stated, "do_pad": None, "rescale_factor": None}, USUAL)
    assert (spec.height, spec.resize) == (8, "squash")


def test_pixels_that_are_not_normalised_stay_between_0_and_1():
    spec = read_transformers_settings({"do_normalize": False}, USUAL)
    assert (spec.mean, spec.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    "stated",
    [{"do_resize": False}, {"do_rescale": False}, {"do_pad": True}, {"rescale_factor": 0.0078125}],
)
def test_other_steps_are_refused(stated):
    with pytest.raises(CheckpointError, match=next(iter(stated))):
        read_transformers_settings(stated, USUAL)
