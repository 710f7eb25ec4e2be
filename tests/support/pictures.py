"""Pictures for tests: good ones that all differ, and ones that are broken in every way."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image


def draw(number: int, *, size: tuple[int, int] = (16, 16)) -> Image.Image:
    """A picture whose colours no other number has."""
    random = np.random.default_rng(number)
    levels = random.integers(0, 256, (4, 4, 3)).astype(np.uint8)
    return Image.fromarray(levels).resize(size, Image.Resampling.NEAREST)


def save(path: Path, number: int = 0, *, size: tuple[int, int] = (16, 16)) -> Path:
    """Save picture `number`, in the format that the name has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draw(number, size=size).save(path)
    return path


def fill_folder(folder: Path, count: int, *, suffix: str = ".png") -> list[Path]:
    """Save `count` pictures in a few folders of different depth; they come back sorted."""
    places = ["", "a", "a/b", "c"]
    return sorted(
        save(folder / places[n % len(places)] / f"{n:04}{suffix}", n) for n in range(count)
    )


def jpeg_bytes(number: int = 0, *, size: tuple[int, int] = (64, 64)) -> bytes:
    """A whole JPEG file."""
    stream = io.BytesIO()
    draw(number, size=size).save(stream, "JPEG")
    return stream.getvalue()


def png_bytes(number: int = 0) -> bytes:
    """A whole PNG file."""
    stream = io.BytesIO()
    draw(number).save(stream, "PNG")
    return stream.getvalue()


def huge_png() -> bytes:
    """A few bytes that claim to be 60,000 x 60,000 pixels."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    body = b"IHDR" + header
    chunk = struct.pack(">I", len(header)) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + png_bytes()[33:]


def _write(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


def _dangle(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere.jpg")


def _link_to_itself(path: Path) -> None:
    path.symlink_to(path)


BREAKAGES: dict[str, Callable[[Path], None]] = {
    "empty": _write(b""),
    "cut_jpeg": _write(jpeg_bytes()[:300]),
    "head_only": _write(jpeg_bytes()[:4]),
    "cut_png": _write(png_bytes()[:40]),
    "wrong_png": _write(png_bytes()[:45] + b"\0" * 40 + png_bytes()[85:]),
    "text": _write(b"not a picture at all"),
    "web_page": _write(b"<!DOCTYPE html><html><body>404</body></html>"),
    "zeros": _write(b"\0" * 5000),
    "bomb": _write(huge_png()),
    "dangling": _dangle,
    "circular": _link_to_itself,
}
