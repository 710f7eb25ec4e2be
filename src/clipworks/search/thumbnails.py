"""Pictures as small squares, many on one sheet, for pages that show thousands."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from clipworks.data.contents import open_again
from clipworks.devices import count_cores
from clipworks.errors import InputError
from clipworks.inputs.decoding import decode_image
from clipworks.inputs.orientation import orient

SHEET_PX = 2048
_QUALITY = 72
_SIZES = ((1500, 96), (6000, 64), (25_000, 40))  # so many pictures at most, and their sides
_SMALLEST = 24
_AT_ONCE = 256

Report = Callable[[int, int], None]
"""Is called with the pictures done and the pictures in all."""


def choose_tile_px(count: int) -> int:
    """How large the thumbnails of so many pictures may be, for a page of some megabytes."""
    return next((size for most, size in _SIZES if count <= most), _SMALLEST)


def make_sheets(
    paths: Sequence[str | None], tile_px: int, report: Report | None = None
) -> tuple[list[str], int]:
    """Draw thumbnails on sheets of SHEET_PX, row by row, left to right.

    Args:
        paths: one a picture; what cannot be read leaves its square clear.
        tile_px: the side of a square.
        report: is told how far the work is.

    Returns:
        The sheets as data URIs, and how many pictures could not be read.
    """
    across = SHEET_PX // tile_px
    sheets: list[str] = []
    missing = 0
    with ThreadPoolExecutor(count_cores()) as threads:
        for start in range(0, len(paths), across * across):
            part = paths[start : start + across * across]
            rows = -(-len(part) // across)
            sheet = Image.new("RGBA", (min(across, len(part)) * tile_px, rows * tile_px))
            for first in range(0, len(part), _AT_ONCE):
                tiles = threads.map(
                    lambda path: _tile(path, tile_px), part[first : first + _AT_ONCE]
                )
                for place, tile in enumerate(tiles, first):
                    missing += tile is None
                    if tile is not None:
                        spot = (place % across * tile_px, place // across * tile_px)
                        sheet.paste(tile, spot)
                if report:
                    report(start + min(first + _AT_ONCE, len(part)), len(paths))
            sheets.append(picture_uri(sheet, quality=_QUALITY))
    return sheets, missing


def shrink(image: Image.Image, side_px: int) -> Image.Image:
    """A picture of any mode as RGB or RGBA, its longer side no more than `side_px`."""
    if image.mode.startswith(("I", "F")):  # wider than 8 bits
        image = _stretch(image)
    small = image.convert("RGBA" if image.has_transparency_data else "RGB")
    small.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    return small


def picture_uri(image: Image.Image, *, quality: int) -> str:
    """The picture as a data URI, in WebP."""
    content = io.BytesIO()
    image.save(content, "WEBP", quality=quality)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"


def _tile(path: str | None, tile_px: int) -> Image.Image | None:
    """A square with the whole picture in its middle; what is see-through is on white."""
    if not path:
        return None
    try:
        image = decode_image(open_again(path))
        small = shrink(orient(image), tile_px).convert("RGBA")
    except InputError:
        return None
    tile = Image.new("RGBA", (tile_px, tile_px), (255, 255, 255, 0))
    paper = Image.new("RGBA", small.size, "white")
    spot = ((tile_px - small.width) // 2, (tile_px - small.height) // 2)
    tile.paste(Image.alpha_composite(paper, small), spot)
    return tile


def _stretch(image: Image.Image) -> Image.Image:
    """Scale grey levels of any range to 0..255."""
    levels = np.asarray(image, np.float64)
    low, high = levels.min(), levels.max()
    return Image.fromarray(((levels - low) / max(high - low, 1e-9) * 255).astype(np.uint8))
