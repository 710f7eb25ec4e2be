"""A decoded picture to pixels: upright, resized, cropped or padded, RGB, normalised.

Axes: image (pictures in a batch), 3 (red, green, blue), h and w (pixels).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
from jaxtyping import Float32
from PIL import Image

from clipworks.arrays import Pixels
from clipworks.inputs.fast_resizing import check_fast_resizing
from clipworks.inputs.orientation import orient
from clipworks.inputs.resizing import fit, resized_size
from clipworks.inputs.specs import ImageSpec

_DECODE_MARGIN = 2


@final
class ImageTransform:
    """Turns decoded pictures into a model's pixels.

    With `orient_exif` and `rescale_16bit` off, the result is open_clip's to the last bit with the
    spec's other defaults (it resizes in the picture's own colour mode, and converts to RGB
    afterwards), and that of transformers' processors on Pillow with what
    `transformers_defaults` states.
    Safe to call from many threads at once.

    Args:
        spec: what the model wants.
        fast_resize: resize in vector instructions: a few levels in a thousand are one higher or
            lower.

    Raises:
        MissingExtraError: there is no `fast_resize` here.
    """

    def __init__(self, spec: ImageSpec, *, fast_resize: bool = False) -> None:
        if fast_resize:
            check_fast_resizing()
        self.spec = spec
        self._fast_resize = fast_resize
        self._mean = np.array(spec.mean, np.float32)[:, None, None]
        self._std = np.array(spec.std, np.float32)[:, None, None]

    def __call__(self, image: Image.Image) -> Float32[np.ndarray, "3 h w"]:
        """The pixels of one picture that `decode_image` made."""
        pixels = np.empty((3, self.spec.height, self.spec.width), np.float32)
        self.write(image, pixels)
        return pixels

    def least_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """How large a picture of `size` must at least be decoded, whichever way up it is.

        Twice the size that it is resized to, so that the resizing has something to average: with
        less, embeddings of fine patterns move (docs/benchmarks/embedding.md).
        """
        across = resized_size(size, self.spec)
        down = resized_size((size[1], size[0]), self.spec)
        return _DECODE_MARGIN * max(across[0], down[1]), _DECODE_MARGIN * max(across[1], down[0])

    def batch(self, images: Sequence[Image.Image]) -> Pixels:
        """The pixels of several pictures, in their order."""
        pixels = np.empty((len(images), 3, self.spec.height, self.spec.width), np.float32)
        for image, slot in zip(images, pixels, strict=True):
            self.write(image, slot)
        return pixels

    def write(self, image: Image.Image, out: Float32[np.ndarray, "3 h w"]) -> None:
        """Write the pixels of one picture to where they belong in a batch."""
        image = self._prepare(image)
        if self.spec.rgb_conversion == "before_resize":
            image = _to_rgb(image)
        rgb = np.asarray(_to_rgb(fit(image, self.spec, fast=self._fast_resize)))  # (h, w, 3)
        # torchvision's operations, in its order: another order changes the last bit
        np.divide(rgb.transpose(2, 0, 1), np.float32(255), out=out, dtype=np.float32)
        np.subtract(out, self._mean, out=out)
        np.divide(out, self._std, out=out)

    def _prepare(self, image: Image.Image) -> Image.Image:
        if self.spec.orient_exif:
            image = orient(image)
        if self.spec.rescale_16bit and image.mode.startswith("I"):
            image = _rescale_16bit(image)
        if self.spec.transparency == "white" and image.has_transparency_data:
            image = _flatten_on_white(image)
        return image


def _rescale_16bit(image: Image.Image) -> Image.Image:
    """0..65535 to 0..255, rounded; Pillow's own conversion clips at 255."""
    wide = np.clip(np.asarray(image), 0, 65535).astype(np.uint32)
    return Image.fromarray(((wide * 255 + 32767) // 65535).astype(np.uint8))


def _flatten_on_white(image: Image.Image) -> Image.Image:
    try:
        picture = image.convert("RGBA")
    except (TypeError, ValueError):  # a transparency record that makes no sense counts as none
        return image
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    image.info.pop("transparency", None)  # it does not change the colours, and Pillow warns of it
    return image.convert("RGB")
