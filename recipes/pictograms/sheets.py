"""Contact sheets: pictures with their names below, to find wrong labels by eye."""

from __future__ import annotations

import argparse
import json
import textwrap
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

from recipes.pictograms.pictures import SIZE_PX
from recipes.pictograms.sources import DEFAULT_DATA

COLUMNS = 16
LABEL_PX = 34
CELL_PX = SIZE_PX + 20
LETTERS_A_LINE = 17


def draw_sheet(pictures: np.ndarray, labels: list[str]) -> Image.Image:
    """Lay pictures (n, 80, 80, 4) out in rows of sixteen over their labels."""
    rows = -(-len(labels) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * CELL_PX, rows * (CELL_PX + LABEL_PX)), "white")
    pen = ImageDraw.Draw(sheet)
    for index, (pixels, label) in enumerate(zip(pictures, labels, strict=True)):
        left, top = index % COLUMNS * CELL_PX, index // COLUMNS * (CELL_PX + LABEL_PX)
        picture = Image.fromarray(pixels, "RGBA")
        sheet.paste(picture, (left + 10, top + 4), picture)
        lines = textwrap.wrap(label, LETTERS_A_LINE)[:3]
        pen.multiline_text((left + 3, top + SIZE_PX + 8), "\n".join(lines), "black", spacing=1)
    return sheet


def main() -> None:
    """Write the contact sheets of one source as numbered PNG files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="the source to look at, for example fxemoji")
    parser.add_argument("--split", default="train", help="the split (default: train)")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="what render.py wrote")
    parser.add_argument("--out", type=Path, default=Path("sheets"), help="where sheets go")
    parser.add_argument("--rows", type=int, default=12, help="rows a sheet (default: 12)")
    args = parser.parse_args()
    folder = args.data / args.split
    table = pq.read_table(folder / "pictures.parquet").to_pylist()
    concepts = json.loads((args.data / "concepts.json").read_text(encoding="utf-8"))
    chosen = [row for row in table if row["source"] == args.source]
    pictures = np.load(folder / "pictures.npy", mmap_mode="r")
    args.out.mkdir(parents=True, exist_ok=True)
    step = args.rows * COLUMNS
    for start in range(0, len(chosen), step):
        part = chosen[start : start + step]
        labels = [concepts[row["concept"]]["name"] for row in part]
        sheet = draw_sheet(pictures[[row["row"] for row in part]], labels)
        sheet.save(args.out / f"{args.source}-{start // step:02}.png")
    print(f"{len(chosen)} pictures of {args.source} on sheets in {args.out}")


if __name__ == "__main__":
    main()
