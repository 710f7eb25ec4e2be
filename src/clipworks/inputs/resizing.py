"""Where a picture's pixels end up: resize, then crop or pad, in the picture's own colour mode.

The arithmetic, rounding included, is that of torchvision and open_clip, or of transformers where
the spec says so, so that results agree to the last bit. Sizes are (width, height), as in Pillow.
"""

from __future__ import annotations

from PIL import Image
from PIL.Image import Resampling

from clipworks.inputs.fast_resizing import Box, can_resize_fast, resize_fast
from clipworks.inputs.source_spans import crop_span, crop_start, seen_pixels
from clipworks.inputs.specs import CropRounding, ImageSpec

_FILTERS = {
    "nearest": Resampling.NEAREST,
    "bilinear": Resampling.BILINEAR,
    "bicubic": Resampling.BICUBIC,
    "lanczos": Resampling.LANCZOS,
}
_PLAIN_MODES = frozenset({"L", "RGB", "CMYK", "YCbCr"})

MAX_RESIZED_PIXELS = 2**24
"""Above this many pixels only the part that the crop keeps is resized.

Pillow rounds between its horizontal and its vertical pass, and the sizes decide which comes first,
so a level may differ by a few: this is not the way for pictures of ordinary shape.
"""


def fit(image: Image.Image, spec: ImageSpec, *, fast: bool = False) -> Image.Image:
    """The picture at exactly the spec's size, in its own mode.

    Args:
        image: decoded.
        spec: what the model wants.
        fast: a level may be one higher or lower here and there (see `fast_resizing`).
    """
    target = (spec.width, spec.height)
    size = resized_size(image.size, spec)
    if fast and can_resize_fast(image, spec.interpolation):
        return _fit_fast(image, size, spec)
    if size[0] * size[1] > MAX_RESIZED_PIXELS and spec.resize == "shortest":
        return _resize_centre(image, size, spec)
    if _goes_in_passes(image, size, spec):
        return _resize_in_passes(image, size, spec)
    resized = image.resize(size, _FILTERS[spec.interpolation])
    if spec.resize == "longest":
        return _pad(resized, target, spec.fill)
    return _crop_centre(resized, target, spec.crop_rounding)


def resized_size(size: tuple[int, int], spec: ImageSpec) -> tuple[int, int]:
    """The size before cropping or padding."""
    if spec.resize == "squash":
        return spec.width, spec.height
    width, height = size
    if spec.resize == "longest":
        ratio = max(height / spec.height, width / spec.width)
    elif spec.height != spec.width:
        ratio = min(height / spec.height, width / spec.width)
    else:  # torchvision cuts here where open_clip, in the other branches, rounds
        longer = int(spec.height * max(size) / min(size))
        return (spec.width, longer) if width <= height else (longer, spec.height)
    return max(1, round(width / ratio)), max(1, round(height / ratio))


def _crop_centre(
    image: Image.Image, target: tuple[int, int], rounding: CropRounding
) -> Image.Image:
    if image.size == target:
        return image
    left, top = (
        crop_start(have, want, rounding) for have, want in zip(image.size, target, strict=True)
    )
    return image.crop((left, top, left + target[0], top + target[1]))


def _pad(image: Image.Image, target: tuple[int, int], fill: int) -> Image.Image:
    if image.size == target:
        return image
    num_bands = len(image.getbands())
    color = fill if num_bands == 1 else (fill,) * num_bands
    padded = Image.new(image.mode, target, color)
    if image.mode == "P":  # `fill` is an index of the palette here, as in open_clip
        padded.putpalette(image.getpalette() or [])
    padded.paste(image, ((target[0] - image.width) // 2, (target[1] - image.height) // 2))
    return padded


def _goes_in_passes(image: Image.Image, size: tuple[int, int], spec: ImageSpec) -> bool:
    """Whether Pillow would resize first across and then down, with nothing before or between.

    Other modes are converted for the while, and `nearest` has no passes.
    """
    return (
        spec.resize == "shortest"
        and size != (spec.width, spec.height)
        and spec.interpolation != "nearest"
        and image.mode in _PLAIN_MODES
        and not _goes_down_first(image.size, size)
    )


def _goes_down_first(have: tuple[int, int], want: tuple[int, int]) -> bool:
    """Whether newer Pillows resize down first: what loses more than twice as many rows as columns.

    Older ones always go across first.
    """
    columns, rows = (before - after for before, after in zip(have, want, strict=True))
    return rows > max(0, 2 * columns)


def _resize_in_passes(image: Image.Image, size: tuple[int, int], spec: ImageSpec) -> Image.Image:
    """What `_crop_centre(image.resize(size), ...)` gives, to the last bit, for less.

    Pillow's own two passes: the one across sees only the rows that the crop depends on, and the
    one down only the columns that the crop keeps.
    """
    resampling = _FILTERS[spec.interpolation]
    start, stop = crop_span(image.height, size[1], spec.height, spec.crop_rounding)
    top, bottom = seen_pixels(start, stop, spec.height, image.height)
    rows = image if bottom - top == image.height else image.crop((0, top, image.width, bottom))
    wide = rows.resize((size[0], rows.height), resampling)
    part = _crop_centre(wide, (spec.width, rows.height), spec.crop_rounding)
    if part.height != image.height:  # from how many rows there are follows what each weighs
        column = Image.new(image.mode, (spec.width, image.height))
        column.paste(part, (0, top))
        part = column
    resized = part.resize((spec.width, size[1]), resampling)
    return _crop_centre(resized, (spec.width, spec.height), spec.crop_rounding)


def _fit_fast(image: Image.Image, size: tuple[int, int], spec: ImageSpec) -> Image.Image:
    target = (spec.width, spec.height)
    is_cropped = spec.resize == "shortest"
    resized = resize_fast(
        image,
        target if is_cropped else size,
        spec.interpolation,
        _crop_box(image, size, spec) if is_cropped else (0, 0, *image.size),
        down_first=_goes_down_first(image.size, size),
    )
    return _pad(resized, target, spec.fill)


def _resize_centre(image: Image.Image, size: tuple[int, int], spec: ImageSpec) -> Image.Image:
    """What `_crop_centre(image.resize(size), ...)` gives, without the pixels outside."""
    start_x, start_y, stop_x, stop_y = _crop_box(image, size, spec)
    left, right = seen_pixels(start_x, stop_x, spec.width, image.width)
    top, bottom = seen_pixels(start_y, stop_y, spec.height, image.height)
    part = image.crop((left, top, right, bottom))
    box = (start_x - left, start_y - top, stop_x - left, stop_y - top)
    return part.resize((spec.width, spec.height), _FILTERS[spec.interpolation], box=box)


def _crop_box(image: Image.Image, size: tuple[int, int], spec: ImageSpec) -> Box:
    """The part of the picture that the crop keeps."""
    left, right = crop_span(image.width, size[0], spec.width, spec.crop_rounding)
    top, bottom = crop_span(image.height, size[1], spec.height, spec.crop_rounding)
    return left, top, right, bottom
