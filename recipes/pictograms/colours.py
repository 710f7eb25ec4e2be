"""Which colours a drawing has, in plain words.

Axes: picture, h and w (pixels), 4 (red, green, blue, alpha).
"""

from __future__ import annotations

import colorsys
from collections import Counter, defaultdict
from functools import cache

import numpy as np
from jaxtyping import UInt8

from recipes.pictograms.splits import Split

HUES = (
    (18, "red"),
    (39, "orange"),
    (68, "yellow"),
    (165, "green"),
    (260, "blue"),
    (295, "purple"),
    (345, "pink"),
    (360, "red"),
)
"""Where each hue ends, in degrees."""

STEP = 32
SEEN_ALPHA = 128
MAIN_SHARE = 0.4
"""Of a drawing's pixels that must have the colour for it to be the drawing's own."""
AGREEING_SHARE = 0.5
"""Of a concept's drawings that must have the same colour for it to be the concept's."""


@cache
def colour_word(red: int, green: int, blue: int) -> str:
    """The everyday name of a colour, each part from 0 to 255."""
    hue, saturation, value = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
    if value < 0.24:
        return "black"
    if saturation < 0.13:
        return "white" if value > 0.86 else "grey"
    if saturation < 0.3 and value < 0.85:
        return "grey"
    word = next(word for end, word in HUES if hue * 360 <= end)
    if word in ("orange", "yellow") and (value < 0.78 or (word == "orange" and saturation < 0.6)):
        return "brown"
    if word == "red" and saturation < 0.6:
        return "pink" if value > 0.8 else "brown"
    return word


def main_colour(picture: UInt8[np.ndarray, "h w 4"]) -> str:
    """The colour that most of a drawing has, or "" where none has most of it."""
    seen = picture[picture[..., 3] >= SEEN_ALPHA][:, :3]  # [pixel 3]
    if not len(seen):
        return ""
    levels = 256 // STEP
    numbers = np.bincount((seen // STEP) @ (levels**2, levels, 1))  # [colour]
    shares: Counter[str] = Counter()
    for place in numbers.nonzero()[0].tolist():
        parts = (place // levels**2, place // levels % levels, place % levels)
        word = colour_word(*(part * STEP + STEP // 2 for part in parts))
        shares[word] += int(numbers[place])
    word, number = shares.most_common(1)[0]
    return word if number >= MAIN_SHARE * len(seen) else ""


def concept_colours(split: Split) -> dict[str, str]:
    """The colour of each concept of a split whose drawings, in whatever style, agree on one."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for row, picture in zip(split.rows, split.pictures, strict=True):
        found[row["concept"]][main_colour(picture)] += 1
    return {concept: word for concept, words in found.items() if (word := agreed(words))}


def agreed(words: Counter[str]) -> str:
    """The word that most say, or ""."""
    word, number = words.most_common(1)[0]
    return word if number >= AGREEING_SHARE * words.total() else ""
