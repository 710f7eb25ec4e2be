"""Readers of the clip art packages: openclipart (metadata in the SVG) and Tux Paint's stamps."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

from recipes.pictograms.drawings import Drawing
from recipes.pictograms.labels import tidy_words
from recipes.pictograms.sources import TABLES, Source, load_table, source_folder
from recipes.pictograms.titles import clipart_title, is_unseen, known_words, load_title_table

PUBLIC_DOMAIN = {
    "http://web.resource.org/cc/PublicDomain",
    "http://creativecommons.org/licenses/publicdomain/",
}
NO_THINGS = {"symbols"}
MAX_TITLE_WORDS = 6
MAX_FILE_BYTES = 400_000
_LICENCE = re.compile(r'<cc:license[^>]*resource="([^"]*)"')
_TITLE = re.compile(r"<dc:title[^>]*>(.*?)</dc:title>", re.DOTALL)
_SUBJECT = re.compile(r"<dc:subject>(.*?)</dc:subject>", re.DOTALL)
_ITEM = re.compile(r"<rdf:li[^>]*>(.*?)</rdf:li>", re.DOTALL)
_FILE_NUMBER = re.compile(r"[-_]?\d+[a-z]?$")


def read_dictionary(work: Path) -> frozenset[str]:
    """Return the lower-case English words of the word list."""
    path = source_folder(work, "wamerican") / "usr/share/dict/american-english"
    words = path.read_text(encoding="utf-8").split()
    return frozenset(word for word in words if word.islower() and len(word) > 1)


def is_public_domain(svg: str) -> bool:
    """Tell whether a drawing's own metadata names the public domain, and nothing else."""
    named = set(_LICENCE.findall(svg))
    return bool(named) and named <= PUBLIC_DOMAIN


def read_openclipart(source: Source, work: Path) -> Iterator[Drawing]:
    """Yield drawings of things, marked public domain, with English titles and keywords."""
    root = source_folder(work, source.name) / "usr/share/openclipart/svg"
    folders = load_table("openclipart_folders")
    titles = load_title_table(TABLES / "titles.json")
    dictionary = read_dictionary(work)
    for path in sorted(root.rglob("*.svg")):
        place = path.parent.relative_to(root).as_posix()
        hint = folder_hint(place, folders)
        if hint is None or path.stat().st_size > MAX_FILE_BYTES:
            continue
        svg = path.read_text(encoding="utf-8", errors="replace")
        if is_public_domain(svg):
            drawing = clipart_drawing(source.name, path, svg, dictionary=dictionary, hint=hint)
            if not is_unseen(drawing.title, titles):
                yield drawing


def folder_hint(place: str, folders: dict[str, str]) -> str | None:
    """Return the kind of thing that a folder holds, by its nearest listed parent; None: skip."""
    parts = place.split("/")
    for depth in range(len(parts), 0, -1):
        hint = folders.get("/".join(parts[:depth]))
        if hint is not None:
            return None if hint == "-" else hint
    return None


def clipart_drawing(
    name: str, path: Path, svg: str, *, dictionary: frozenset[str], hint: str
) -> Drawing:
    """Make a drawing from one SVG file and its metadata."""
    title = _TITLE.search(svg)
    subject = _SUBJECT.search(svg)
    stem = _FILE_NUMBER.sub("", path.stem)
    text = clipart_title(html.unescape(title[1]) if title else "", stem)
    if hint != "flag":
        text = " ".join(known_words(text, dictionary).split()[:MAX_TITLE_WORDS])
    items = _ITEM.findall(subject[1]) if subject else []
    tidied = (tidy_words(html.unescape(item)) for item in items)
    keywords = [words for words in tidied if words and known_words(words, dictionary) == words]
    if hint != "flag":
        keywords.append(hint)
    return Drawing(
        name, path.stem, path=path, title=text, keywords=tuple(dict.fromkeys(keywords)), hint=hint
    )


def read_stamps(source: Source, work: Path) -> Iterator[Drawing]:
    """Yield Tux Paint's stamps: SVG where there is one, else PNG, with the English description.

    Letters, coins and mathematical signs (the folder `symbols`) are left out.
    """
    root = source_folder(work, source.name) / "usr/share/tuxpaint/stamps"
    for text in sorted(root.rglob("*.txt")):
        picture = next(
            (path for path in map(text.with_suffix, (".svg", ".png")) if path.exists()), None
        )
        first_line = text.read_text(encoding="utf-8").split("\n", 1)[0]
        place = text.relative_to(root).with_suffix("")
        if picture is None or not first_line.strip() or place.parts[0] in NO_THINGS:
            continue
        keywords = (place.parts[0], "drawing" if picture.suffix == ".svg" else "bitmap")
        title = first_line.strip().rstrip(".")
        yield Drawing(source.name, place.as_posix(), path=picture, title=title, keywords=keywords)
