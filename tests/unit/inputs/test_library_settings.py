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
