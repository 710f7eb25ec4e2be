"""The catalogue: every drawing of every source with its concept and its split."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from recipes.pictograms.clipart import read_openclipart, read_stamps
from recipes.pictograms.drawings import Drawing, read_icon_titles, read_iconify, read_webp
from recipes.pictograms.mapping import Mapper, load_mapper
from recipes.pictograms.sources import Source, load_sources

READERS = {
    "emoji": read_iconify,
    "flags": read_iconify,
    "webp": read_webp,
    "icons": read_icon_titles,
    "openclipart": read_openclipart,
    "stamps": read_stamps,
}
ONE_A_CONCEPT = ("validation", "test")


@dataclass(frozen=True)
class Entry:
    """A drawing that belongs in the data."""

    drawing: Drawing
    concept: str
    split: str
    is_flag: bool
    held_out: bool


@dataclass
class Count:
    """What became of one source's drawings."""

    drawings: int = 0
    matched: int = 0
    skin_tones: int = 0
    repeated: int = 0
    unmatched: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Catalogue:
    """All entries, and the counts by source."""

    entries: list[Entry]
    counts: dict[str, Count]


def split_of(role: str, *, held_out: bool) -> str:
    """Return the split of a picture: held-out concepts of training styles are `unseen`."""
    return "unseen" if role == "train" and held_out else role


def build_catalogue(work: Path) -> Catalogue:
    """Read all sources of drawings and give every drawing its concept."""
    sources = [source for source in load_sources() if source.kind in READERS]
    mapper = load_mapper(work, sources)
    entries: list[Entry] = []
    counts: dict[str, Count] = {}
    for source in sources:
        found, counts[source.name] = catalogue_source(source, mapper, work)
        entries += found
    return Catalogue(entries, counts)


def catalogue_source(source: Source, mapper: Mapper, work: Path) -> tuple[list[Entry], Count]:
    """Map one source's drawings; count those that mean nothing to us."""
    count = Count()
    entries = []
    seen: Counter[str] = Counter()
    for drawing in READERS[source.kind](source, work):
        count.drawings += 1
        if mapper.is_skin_tone(drawing):
            count.skin_tones += 1
            continue
        concept = mapper.concept(drawing, source.kind)
        if concept is None:
            count.unmatched.append(drawing.key)
            continue
        seen[concept] += 1
        if source.role in ONE_A_CONCEPT and seen[concept] > 1:
            count.repeated += 1
            continue
        count.matched += 1
        if mapper.is_corrected(drawing):
            drawing = replace(drawing, title="", keywords=())
        emoji = mapper.emoji.get(concept)
        held_out = bool(emoji and emoji.variant)
        split = split_of(source.role, held_out=held_out)
        is_flag = bool(emoji and emoji.is_flag)
        entries.append(Entry(drawing, concept, split, is_flag, held_out))
    return entries, count
