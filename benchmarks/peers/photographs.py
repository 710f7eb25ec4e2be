"""Make JPEGs as cameras and the web have them: cut-outs of Debian's openly licensed wallpapers.

    python benchmarks/peers/photographs.py --out PHOTOS --count 160

Fetches some packages of pictures with `apt-get download`, and writes cut-outs of half a megapixel
to two, upright and lying, of several qualities; the same ones every time.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

PACKAGES = ("gnome-backgrounds", "lomiri-wallpapers-20.04", "mate-backgrounds", "ukui-wallpapers")
LEAST_BYTES = 50_000
QUALITIES = (75, 85, 90, 95)


def main() -> None:
    """Read the command line, fetch and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=160)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        sources = fetch(Path(scratch))
        options.out.mkdir(parents=True, exist_ok=True)
        draw = random.Random(0)
        for number in range(options.count):
            with Image.open(sources[number % len(sources)]) as source:
                picture = cut(source.convert("RGB"), draw)
            picture.save(options.out / f"{number:05}.jpg", quality=draw.choice(QUALITIES))
    print(f"{options.count} cut-outs of {len(sources)} pictures in {options.out}")


def fetch(scratch: Path) -> list[Path]:
    """Download and unpack the packages; their pictures, sorted."""
    subprocess.run(["apt-get", "download", "-qq", *PACKAGES], cwd=scratch, check=True)
    for package in scratch.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, scratch / "files"], check=True)
    found = [path for path in (scratch / "files").rglob("*") if path.suffix in (".jpg", ".jpeg")]
    return sorted(path for path in found if path.stat().st_size >= LEAST_BYTES)


def cut(source: Image.Image, draw: random.Random) -> Image.Image:
    """A part of a picture, every other time upright, at half a megapixel to two."""
    share = draw.uniform(0.55, 1)
    width, height = int(source.width * share), int(source.height * share)
    if draw.random() < 0.5:
        width = min(width, height * 3 // 4)
    left, top = draw.randint(0, source.width - width), draw.randint(0, source.height - height)
    scale = (draw.uniform(0.5e6, 2e6) / (width * height)) ** 0.5
    size = max(1, round(width * scale)), max(1, round(height * scale))
    box = (left, top, left + width, top + height)
    return source.resize(size, Image.Resampling.LANCZOS, box=box)


if __name__ == "__main__":
    main()
