"""Which files are taken for pictures, by their names."""

from __future__ import annotations

import os

PICTURE_SUFFIXES = frozenset(
    (".avif", ".bmp", ".gif", ".heic", ".heif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
)


def is_picture(name: str) -> bool:
    """Whether a path or an address ends as pictures do."""
    return os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES  # noqa: PTH122 - of millions
