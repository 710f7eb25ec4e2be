"""A path, bytes or a picture to a decoded picture, or one clear error.

Pictures come from strangers: whatever a file holds, the answer is a picture or `InvalidImageError`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from clipworks.errors import InvalidImageError, MissingExtraError
from clipworks.inputs.picture_formats import (
    FORMAT_NAMES,
    PREFIX_BYTES,
    identify_format,
    open_picture,
)

MAX_PIXELS = 89_478_485
"""The largest picture that is decoded by default; Pillow warns of larger ones. About 270 MB as RGB,
though decoding one from WebP takes five times as much for a moment."""

MAX_SIDE = 1_000_000
"""The longest side in pixels: to shrink one, Pillow needs some 40 bytes for each pixel of it."""

MAX_FILE_BYTES = 2**30
"""The largest file that `read_picture_file` reads; no picture that is decoded comes near it."""

LeastSize = Callable[[tuple[int, int]], tuple[int, int]]
"""From a picture's width and height to the least that are of use: `ImageTransform.least_size`."""

_UNUSABLE_MODES = frozenset({"La"})  # Pillow has no way from them to RGB
_REASON_LENGTH = 200


def decode_image(
    source: Path | str | bytes | Image.Image,
    *,
    name: str | None = None,
    max_pixels: int = MAX_PIXELS,
    least_size: LeastSize | None = None,
) -> Image.Image:
    """Decode a picture; of an animation, its first frame.

    The colours and the EXIF record are left as they are: `ImageTransform` sees to them.
    Safe to call from many threads at once.

    Args:
        source: a path, the bytes of a file, or a Pillow picture (which is loaded and returned).
        name: what errors call the picture; by default its path.
        max_pixels: width times height above which the picture is refused, undecoded.
        least_size: a JPEG may be decoded at a half, a quarter or an eighth of its size, by leaving
            out the high frequencies of its cosine transform, as long as it is no smaller than
            this. Its pixels are then not quite those of the whole picture.

    Raises:
        InvalidImageError: the picture cannot be read, or must not be.
    """
    label = _label(source) if name is None else _printable(name)
    with _as_our_error(label, "picture"):
        if isinstance(source, Image.Image):
            _check_size(source, label, max_pixels=max_pixels)
            return _load(source, label)
        with _open_stream(source, label) as stream:
            return _decode_stream(stream, label, max_pixels=max_pixels, least_size=least_size)


def read_picture_file(path: Path | str) -> bytes:
    """Read a picture's file for `decode_image`, with the same errors for what is no file.

    Raises:
        InvalidImageError: it cannot be read, or is larger than `MAX_FILE_BYTES`.
    """
    label = _label(path)
    with _open_stream(path, label) as stream:
        try:
            # Room for what is asked for is made first, so not the limit but what is there.
            there = os.fstat(stream.fileno()).st_size
            content = stream.read(min(there, MAX_FILE_BYTES) + 1)
            if len(content) > there:  # a file that grows, or does not tell its size
                content += stream.read(MAX_FILE_BYTES + 1 - len(content))
        except OSError as error:
            raise InvalidImageError(label, f"cannot be read: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise InvalidImageError(label, f"the file is larger than the limit of {MAX_FILE_BYTES}")
    return content


@contextmanager
def _as_our_error(label: str, kind: str) -> Iterator[None]:
    try:
        yield
    except InvalidImageError:
        raise
    except MissingExtraError as error:
        raise InvalidImageError(label, str(error)) from error
    except MemoryError as error:
        raise InvalidImageError(label, f"not enough memory to decode the {kind}") from error
    except Exception as error:
        # A hostile file can make a decoder raise anything at all.
        raise InvalidImageError(label, f"damaged {kind}: {_one_line(error)}") from error


def _label(source: object) -> str:
    if not isinstance(source, (str, Path)):
        return f"<{type(source).__name__}>"
    return _printable(str(source))


def _printable(name: str) -> str:
    return name if name and name.isprintable() else repr(name)


def _open_stream(source: object, label: str) -> BinaryIO:
    if isinstance(source, bytes):
        return BytesIO(source)
    if not isinstance(source, (str, Path)):
        kind = type(source).__name__
        raise InvalidImageError(label, f"expected a path, bytes or a Pillow picture, not {kind}")
    path = Path(source)
    try:
        if path.exists() and not path.is_file():
            raise InvalidImageError(label, "is not a file")
        return path.open("rb")
    except FileNotFoundError as error:
        raise InvalidImageError(label, "no such file") from error
    except OSError as error:
        raise InvalidImageError(label, f"cannot be opened: {error.strerror}") from error
    except ValueError as error:  # a null byte, or half of a surrogate pair
        raise InvalidImageError(label, f"is not a path: {_one_line(error)}") from error


def _decode_stream(
    stream: BinaryIO, label: str, *, max_pixels: int, least_size: LeastSize | None
) -> Image.Image:
    prefix = stream.read(PREFIX_BYTES)
    if not prefix:
        raise InvalidImageError(label, "is empty (0 bytes)")
    format_name = identify_format(prefix)
    if format_name is None:
        known = ", ".join(FORMAT_NAMES)
        raise InvalidImageError(
            label, f"is not a picture that can be read ({known}): it starts with {prefix[:12]!r}"
        )
    stream.seek(0)
    with _as_our_error(label, format_name):
        picture = open_picture(stream, format_name)
        _check_size(picture, label, max_pixels=max_pixels)
        if least_size is not None and format_name == "JPEG":
            picture.draft(None, least_size(picture.size))
        return _load(picture, label)


def _load(image: Image.Image, label: str) -> Image.Image:
    image.load()
    if image.mode in _UNUSABLE_MODES:
        raise InvalidImageError(label, f"its colour mode {image.mode} is not supported")
    return image


def _check_size(image: Image.Image, label: str, *, max_pixels: int) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise InvalidImageError(label, f"has no pixels ({width} x {height})")
    if width * height > max_pixels:
        raise InvalidImageError(
            label, f"{width} x {height} pixels are more than the limit of {max_pixels}"
        )
    if max(width, height) > MAX_SIDE:
        raise InvalidImageError(label, f"{width} x {height}: a side is longer than {MAX_SIDE}")


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:_REASON_LENGTH]
