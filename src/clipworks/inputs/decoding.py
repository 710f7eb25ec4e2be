"""A path, bytes or a picture to a decoded picture, or one clear error.

Pictures come from strangers: whatever a file holds, the answer is a picture or `InvalidImageError`.
"""

from __future__ import annotations

from collections.abc import Iterator
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

_UNUSABLE_MODES = frozenset({"La"})  # Pillow has no way from them to RGB
_REASON_LENGTH = 200


def decode_image(
    source: Path | str | bytes | Image.Image,
    *,
    name: str | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Image.Image:
    """Decode a picture; of an animation, its first frame.

    The colours and the EXIF record are left as they are: `ImageTransform` sees to them.
    Safe to call from many threads at once.

    Args:
        source: a path, the bytes of a file, or a Pillow picture (which is loaded and returned).
        name: what errors call the picture; by default its path.
        max_pixels: width times height above which the picture is refused, undecoded.

    Raises:
        InvalidImageError: the picture cannot be read, or must not be.
    """
    label = _label(source) if name is None else _printable(name)
    with _as_our_error(label, "picture"):
        if isinstance(source, Image.Image):
            return _load(source, label, max_pixels=max_pixels)
        with _open_stream(source, label) as stream:
            return _decode_stream(stream, label, max_pixels=max_pixels)


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


def _decode_stream(stream: BinaryIO, label: str, *, max_pixels: int) -> Image.Image:
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
        return _load(open_picture(stream, format_name), label, max_pixels=max_pixels)


def _load(image: Image.Image, label: str, *, max_pixels: int) -> Image.Image:
    width, height = image.size
    if width < 1 or height < 1:
        raise InvalidImageError(label, f"has no pixels ({width} x {height})")
    if width * height > max_pixels:
        raise InvalidImageError(
            label, f"{width} x {height} pixels are more than the limit of {max_pixels}"
        )
    if max(width, height) > MAX_SIDE:
        raise InvalidImageError(label, f"{width} x {height}: a side is longer than {MAX_SIDE}")
    image.load()
    if image.mode in _UNUSABLE_MODES:
        raise InvalidImageError(label, f"its colour mode {image.mode} is not supported")
    return image


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:_REASON_LENGTH]
