"""Draw the pictures of `clipworks demo`: some Twemoji, a style that no model was trained on.

Fetch the sources first (`python -m recipes.pictograms.fetch`), then run
`python -m recipes.pictograms.demo_pictures`. Files are named by code point, not by what they show.
"""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path

import resvg_py
from PIL import Image

from recipes.pictograms.drawings import read_iconify
from recipes.pictograms.sources import DEFAULT_WORK, RecipeError, find_source, source_folder

SOURCE = "twemoji"
SIZE_PX = 96
MARGIN_PX = 5
DEFAULT_OUT = Path("src/clipworks/demo_pictures")

# One kind of thing a line: fruit, vegetables, meals, drinks, mammals, birds, in the sea, insects,
# plants, on the road, in the air and on water, buildings, sky, sport, music, clothes, tools, home.
KINDS = (
    "1f34e 1f34c 1f347 1f349 1f353 1f34a 1f352 1f34d",
    "1f955 1f966 1f33d 1f346 1f345",
    "1f355 1f354 1f366 1f370 1f369 1f35e",
    "2615 1f37a 1f377",
    "1f436 1f431 1f434 1f42e 1f437 1f981 1f418 1f430 1f43b 1f412",
    "1f427 1f986 1f989 1f99c",
    "1f433 1f42c 1f988 1f419 1f980 1f420 1f422",
    "1f98b 1f41d 1f41e 1f40c 1f577",
    "1f333 1f335 1f339 1f33b 1f344",
    "1f697 1f68c 1f6b2 1f691 1f69c 1f682",
    "2708 1f681 1f680 26f5 1f6a2",
    "1f3e0 1f3f0 26ea 1f5fc",
    "2600 1f319 2b50 1f308 26c8 2744",
    "26bd 1f3c0 1f3be 1f94a",
    "1f3b8 1f3b9 1f3ba 1f3bb 1f941",
    "1f455 1f456 1f457 1f460 1f3a9 1f453",
    "1f528 2702 1f511 1f526",
    "1f4f7 1f4bb 1f4da 2602 1f381 23f0",
)
CODES = [code for kind in KINDS for code in kind.split()]


def render(svg: str) -> Image.Image:
    """Return a drawing on a white square of SIZE_PX."""
    inner = SIZE_PX - 2 * MARGIN_PX
    png = resvg_py.svg_to_bytes(svg_string=svg, width=inner, height=inner, skip_system_fonts=True)
    drawing = Image.open(io.BytesIO(bytes(png))).convert("RGBA")
    canvas = Image.new("RGBA", (SIZE_PX, SIZE_PX), "white")
    canvas.alpha_composite(drawing, (MARGIN_PX, MARGIN_PX))
    return canvas.convert("RGB")


def find_drawings(work: Path) -> dict[str, str]:
    """Return the SVG of each code."""
    table = source_folder(work, SOURCE) / "package" / "chars.json"
    icons = json.loads(table.read_text(encoding="utf-8"))
    missing = [code for code in CODES if code not in icons]
    if missing:
        raise RecipeError(f"{SOURCE} has no {', '.join(missing)}")
    drawings = {drawing.key: drawing.svg for drawing in read_iconify(find_source(SOURCE), work)}
    return {code: drawings[icons[code]] for code in CODES}


def main() -> None:
    """Draw them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=DEFAULT_WORK, help="what fetch.py brought")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="where the pictures go")
    args = parser.parse_args()
    drawings = find_drawings(args.work)
    args.out.mkdir(parents=True, exist_ok=True)
    for stale in args.out.glob("*.png"):
        stale.unlink()
    for code, svg in drawings.items():
        render(svg).save(args.out / f"{code}.png", optimize=True)
    size = sum(path.stat().st_size for path in args.out.glob("*.png"))
    print(f"{len(drawings)} pictures, {size / 1000:.0f} kB in {args.out}")


if __name__ == "__main__":
    main()
