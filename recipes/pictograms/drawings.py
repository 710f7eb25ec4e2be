"""Readers: every source as a stream of drawings, not yet rendered."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recipes.pictograms.labels import has_skin_tone
from recipes.pictograms.sources import TABLES, Source, source_folder
from recipes.pictograms.titles import icon_title, load_title_table

SVG_HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
    'viewBox="{left} {top} {width} {height}" width="{width}" height="{height}">'
)
ICONIFY_SIZE = 16
SHOWN_FROM_THE_START = ('opacity="0"><animate', "><animate")
OLD_DRAWINGS_TOO = {"noto", "noto-v1", "circle-flags", "flagpack"}
_ICON_SIZE = re.compile(r"-(12|16|20|24|28|32|48)$")


@dataclass(frozen=True)
class Drawing:
    """A picture before rendering: SVG text or an image file, and the words it came with.

    `hint` says what kind of thing it must be, where the package tells (`flag`).
    """

    source: str
    key: str
    svg: str = ""
    path: Path | None = None
    names: tuple[str, ...] = ()
    title: str = ""
    keywords: tuple[str, ...] = ()
    hint: str = ""


def read_iconify(source: Source, work: Path) -> Iterator[Drawing]:
    """Yield the icons of an Iconify set, with their aliases as further names."""
    path = source_folder(work, source.name) / "package" / "icons.json"
    icons = json.loads(path.read_text(encoding="utf-8"))
    aliases: dict[str, list[str]] = {}
    for alias, row in icons.get("aliases", {}).items():
        if set(row) <= {"parent", "hidden"}:
            aliases.setdefault(row["parent"], []).append(alias)
    for key, row in icons["icons"].items():
        if has_skin_tone(key) or (row.get("hidden") and source.name not in OLD_DRAWINGS_TOO):
            continue
        names = (key, *aliases.get(key, ()))
        yield Drawing(source.name, key, svg=_iconify_svg(icons, row), names=names)


def _iconify_svg(icons: dict[str, Any], row: dict[str, Any]) -> str:
    box = {"left": 0, "top": 0, "width": ICONIFY_SIZE, "height": ICONIFY_SIZE}
    box = {side: row.get(side, icons.get(side, size)) for side, size in box.items()}
    body = row["body"].replace(*SHOWN_FROM_THE_START)
    return SVG_HEAD.format(**box) + body + "</svg>"


def read_webp(source: Source, work: Path) -> Iterator[Drawing]:
    """Yield the pictures of a package of webp files named by emoji code."""
    folder = source_folder(work, source.name) / "package" / "assets"
    for path in sorted(folder.glob("*.webp")):
        if not has_skin_tone("", path.stem):
            yield Drawing(source.name, path.stem, path=path, names=(path.stem,))


def read_icon_titles(source: Source, work: Path) -> Iterator[Drawing]:
    """Yield the visible icons of a set that are no emoji, titled by their file names."""
    table = load_title_table(TABLES / "titles.json")
    for drawing in largest_sizes(read_iconify(source, work)):
        title = icon_title(drawing.key, table)
        if title:
            yield replace(drawing, title=title)


def largest_sizes(drawings: Iterable[Drawing]) -> list[Drawing]:
    """Keep the largest of drawings that differ only in a size at the end (`bell-16`, `bell-48`)."""
    largest: dict[str, tuple[int, Drawing]] = {}
    for drawing in drawings:
        found = _ICON_SIZE.search(drawing.key)
        size = int(found[1]) if found else 0
        base = drawing.key[: found.start()] if found else drawing.key
        if size > largest.get(base, (-1,))[0]:
            largest[base] = (size, drawing)
    return [drawing for _, drawing in largest.values()]
