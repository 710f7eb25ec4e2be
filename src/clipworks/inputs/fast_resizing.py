"""Pillow's resizing in vector instructions, by another library: nearly the same, far sooner.

Both sum weighted pixels in whole numbers, along one axis and then the other, rounding in between.
Pillow's weights have 22 bits behind the point and these about 15, so that a few levels in a
thousand come out one higher or lower (docs/benchmarks/embedding.md). Left to itself the library
takes the axes in its own order, which moves levels by more: so each pass is asked for on its own.
"""

from __future__ import annotations

import importlib.util
import math
from typing import Any

from PIL import Image

from clipworks.errors import MissingExtraError
from clipworks.inputs.source_spans import seen_pixels
from clipworks.inputs.specs import Interpolation

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in source pixels, as Pillow's `resize` takes it."""

_FILTERS = {"bilinear": "bilinear", "bicubic": "catmull_rom", "lanczos": "lanczos3"}
_MODES = frozenset({"L", "RGB"})


def has_fast_resizing() -> bool:
    """Whether the library is installed: it has no wheels for some processors."""
    return importlib.util.find_spec("cykooz_resizer") is not None


def check_fast_resizing() -> None:
    """Complain where the library is not installed.

    Raises:
        MissingExtraError: it is not.
    """
    if not has_fast_resizing():
        raise MissingExtraError(
            "fast resizing needs cykooz-resizer, which is not installed: pip install "
            "cykooz-resizer, or give --exact-resize"
        )


def can_resize_fast(image: Image.Image, interpolation: Interpolation) -> bool:
    """Whether this picture can be resized so: others are Pillow's."""
    return image.mode in _MODES and interpolation in _FILTERS


def resize_fast(
    image: Image.Image,
    size: tuple[int, int],
    interpolation: Interpolation,
    box: Box,
    *,
    down_first: bool,
) -> Image.Image:
    """What `image.resize(size, interpolation, box)` gives, but for a level here and there.

    The first pass makes only what the second one looks at. Safe to call from many threads.

    Args:
        image: that `can_resize_fast` finds good.
        size: width and height that are wanted.
        interpolation: of the picture's spec.
        box: what is resized, within the picture.
        down_first: which pass is the first.
    """
    left, top, right, bottom = box
    width, height = size
    if down_first:
        first, last = seen_pixels(left, right, width, image.width)
        flat = _pass(image, (last - first, height), interpolation, (first, top, last, bottom))
        return _pass(flat, size, interpolation, (left - first, 0, right - first, height))
    first, last = seen_pixels(top, bottom, height, image.height)
    wide = _pass(image, (width, last - first), interpolation, (left, first, right, last))
    return _pass(wide, size, interpolation, (0, top - first, width, bottom - first))


def _pass(
    image: Image.Image, size: tuple[int, int], interpolation: Interpolation, box: Box
) -> Image.Image:
    from cykooz_resizer import Resizer

    resized = Image.new(image.mode, size)
    Resizer().resize_pil(image, resized, _options(interpolation, box))
    return resized


def _options(interpolation: Interpolation, box: Box) -> Any:  # noqa: ANN401 - the library's
    from cykooz_resizer import CropBox, FilterType, ResizeAlg, ResizeOptions

    left, top, right, bottom = box
    return ResizeOptions(
        resize_alg=ResizeAlg.convolution(FilterType[_FILTERS[interpolation]]),
        crop_box=CropBox(left, top, _length(left, right), _length(top, bottom)),
        use_alpha=False,
    )


def _length(start: float, stop: float) -> float:
    """From start to stop and never beyond: the library refuses what the last bit adds to it."""
    length = stop - start
    return length if start + length <= stop else math.nextafter(length, 0)
