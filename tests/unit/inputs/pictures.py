"""Small pictures in every format, and broken ones."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image


def noise(width: int = 20, height: int = 14, *, seed: int = 0) -> Image.Image:
    generator = np.random.default_rng(seed)
    return Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8))


def smooth(width: int, height: int, *, seed: int = 0) -> Image.Image:
    return noise(6, 6, seed=seed).resize((width, height), Image.Resampling.BICUBIC)


def encode(image: Image.Image, format_name: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format_name, **options)
    return stream.getvalue()


def exif(orientation: int) -> Image.Exif:
    record = Image.Exif()
    record[0x0112] = orientation
    return record


def png(width: int, height: int, *, pixel_data: bytes = b"", before: bytes = b"") -> bytes:
    """A PNG with any size in its header, whatever stands behind it."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + before + png_chunk(b"IDAT", zlib.compress(pixel_data))
    return b"\x89PNG\r\n\x1a\n" + chunks + png_chunk(b"IEND", b"")


def png_chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def all_formats() -> dict[str, bytes]:
    """A name to a whole file, for each format that is read without an extra."""
    image = noise()
    frames = {"save_all": True, "append_images": [noise(seed=1), noise(seed=2)]}
    plain = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
    files = {name: encode(image, name) for name in plain}
    files |= {
        f"{name}-animated": encode(image, name, **frames) for name in ("PNG", "WEBP", "GIF", "AVIF")
    }
    files["TIFF-pages"] = encode(image, "TIFF", **frames)
    files["TIFF-LZW"] = encode(image, "TIFF", compression="tiff_lzw")
    files["TIFF-LAB"] = encode(image.convert("LAB"), "TIFF")
    files["JPEG-CMYK"] = encode(image.convert("CMYK"), "JPEG")
    files["MPO"] = encode(image, "MPO", **frames)
    files["J2K"] = encode(image, "JPEG2000", no_jp2=True)
    files["WEBP-lossless"] = encode(image.convert("RGBA"), "WEBP", lossless=True)
    return files
