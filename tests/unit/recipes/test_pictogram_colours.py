"""Colours by their everyday names."""

from collections import Counter

import numpy as np
import pytest

from recipes.pictograms.colours import agreed, colour_word, concept_colours, main_colour
from recipes.pictograms.splits import Split


@pytest.mark.parametrize(
    ("colour", "word"),
    [
        ((250, 210, 50), "yellow"),
        ((220, 40, 50), "red"),
        ((60, 160, 60), "green"),
        ((60, 110, 220), "blue"),
        ((140, 90, 190), "purple"),
        ((250, 160, 190), "pink"),
        ((240, 130, 30), "orange"),
        ((120, 70, 40), "brown"),
        ((250, 250, 250), "white"),
        ((130, 130, 135), "grey"),
        ((20, 20, 20), "black"),
    ],
)
def test_colour_word(colour, word):
    assert colour_word(*colour) == word


def picture(*bands: tuple[int, int, int]) -> np.ndarray:
    """Bands of colour, as wide as each other, in the seen half of a picture."""
    pixels = np.zeros((20, 20, 4), np.uint8)
    for place, rows in enumerate(np.array_split(np.arange(12), len(bands))):
        pixels[rows] = (*bands[place], 255)
    return pixels


RED, GREEN, BLUE = (220, 40, 50), (60, 160, 60), (60, 110, 220)


def test_what_is_transparent_has_no_colour():
    assert main_colour(picture(RED)) == "red"
    assert main_colour(np.zeros((4, 4, 4), np.uint8)) == ""


def test_a_motley_drawing_has_no_main_colour():
    assert main_colour(picture(RED, GREEN, BLUE)) == ""
    assert main_colour(picture(RED, GREEN, RED)) == "red"


def test_a_concept_has_the_colour_that_its_styles_agree_on():
    pictures = np.stack([picture(RED), picture(RED), picture(BLUE), picture(RED), picture(BLUE)])
    rows = [{"concept": concept} for concept in ("a", "a", "a", "b", "b")]
    assert concept_colours(Split(pictures, rows)) == {"a": "red", "b": "red"}
    assert agreed(Counter({"red": 2, "blue": 2, "green": 1})) == ""
