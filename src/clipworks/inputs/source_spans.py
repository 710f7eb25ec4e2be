"""One axis of a picture: which source pixels go into which resized ones."""

from __future__ import annotations

import math

from clipworks.inputs.specs import CropRounding

_WIDEST_SUPPORT = 3  # lanczos looks at three source pixels on either side


def crop_start(have: int, want: int, rounding: CropRounding) -> int:
    """Where the middle `want` of `have` pixels begin; below 0 where there are fewer."""
    return round((have - want) / 2) if rounding == "nearest" else (have - want) // 2


def crop_span(have: int, resized: int, want: int, rounding: CropRounding) -> tuple[float, float]:
    """From where to where, in `have` source pixels, the middle `want` of `resized` pixels reach."""
    scale, first = have / resized, crop_start(resized, want, rounding)
    return first * scale, min((first + want) * scale, have)


def seen_pixels(start: float, stop: float, want: int, have: int) -> tuple[int, int]:
    """The first, and the one after the last, of `have` pixels that resizing a span looks at.

    Args:
        start: of the span.
        stop: of the span.
        want: pixels that it becomes.
        have: pixels of the axis.
    """
    margin = _WIDEST_SUPPORT * max((stop - start) / want, 1.0) + 1
    return max(0, math.floor(start - margin)), min(have, math.ceil(stop + margin))
