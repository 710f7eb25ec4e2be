"""Which picture formats are read, told apart by their first bytes and never by the file's name.

Each format is opened by its own Pillow class. `PIL.Image.open` would also try formats that run
other programs (EPS starts Ghostscript), and it warns of large pictures through global state.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import BinaryIO, cast

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL.ImageFile import ImageFile

from clipworks.extras import require

PREFIX_BYTES = 64
"""How much of a file `identify_format` wants to see."""

Opener = Callable[[BinaryIO], ImageFile]

_SIGNATURES = (
    ("JPEG", re.compile(rb"\xff\xd8\xff")),
    ("PNG", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("WebP", re.compile(rb"RIFF.{4}WEBP", re.DOTALL)),
    ("GIF", re.compile(rb"GIF8[79]a")),
    ("BMP", re.compile(rb"BM.{4}\0\0\0\0", re.DOTALL)),
    ("TIFF", re.compile(rb"II[*+]\0|MM\0[*+]")),
    ("AVIF", re.compile(rb".{4}ftyp(?:.{4})*?avi[fs]", re.DOTALL)),
    ("HEIC", re.compile(rb".{4}ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)", re.DOTALL)),
    ("JPEG 2000", re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51")),
    ("PPM", re.compile(rb"P[1-6]\s")),
)


def _open_heic(stream: BinaryIO) -> ImageFile:
    pillow_heif = require("pillow_heif", "reading a HEIC picture")
    return pillow_heif.HeifImageFile(stream)


_OPENERS: dict[str, Opener] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
    "HEIC": _open_heic,
    "JPEG 2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
}

FORMAT_NAMES = tuple(_OPENERS)


def identify_format(prefix: bytes) -> str | None:
    """The name of the format that a file with these first bytes has, or None."""
    for name, signature in _SIGNATURES:
        if signature.match(prefix):
            return name
    return None


def open_picture(stream: BinaryIO, format_name: str) -> ImageFile:
    """Read the header, and so the size, but no pixel.

    Raises:
        MissingExtraError: the format needs an optional library.
        Exception: whatever Pillow's plugin makes of a damaged header.
    """
    return cast("ImageFile", _OPENERS[format_name](stream))
