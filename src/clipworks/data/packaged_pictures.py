"""The hundred small pictures that come with the package: emoji of Twemoji (CC-BY-4.0)."""

from __future__ import annotations

from pathlib import Path

PACKAGED_FOLDER = Path(__file__).parents[1] / "demo_pictures"


def packaged_pictures() -> list[Path]:
    """The pictures' files, sorted by name; the attribution beside them is not one of them."""
    return sorted(PACKAGED_FOLDER.glob("*.png"))
