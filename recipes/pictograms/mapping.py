"""Which concept a drawing shows: an emoji's code, `x:...` for other things, `stamp:...`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from recipes.pictograms.drawings import Drawing
from recipes.pictograms.emoji import (
    Emoji,
    NameIndex,
    build_index,
    load_emoji,
    read_codes,
)
from recipes.pictograms.labels import has_skin_tone, normal_code, region_code, slug
from recipes.pictograms.sources import TABLES, Source, load_table
from recipes.pictograms.titles import load_title_table

CODE_SETS = ("noto", "twemoji", "fluent-emoji-flat", "openmoji")
FLUENT = "fluent-emoji-flat"
MIN_TITLE_LETTERS = 3
_FLAG_NOISE = re.compile(r"flag|_\d+$|(?<=[a-z])\d+$|_$")
BORROWED_CODES = {"fluent-emoji": FLUENT}


@dataclass(frozen=True)
class Mapper:
    """The tables that lead from an icon set's keys to concepts."""

    emoji: dict[str, Emoji]
    index: NameIndex
    codes: dict[str, dict[str, str]]
    corrections: dict[str, str]
    joins: dict[str, str]
    countries: dict[str, str]

    def concept(self, drawing: Drawing, kind: str) -> str | None:
        """Return the concept of a drawing, or None where it means nothing to us."""
        corrected = self.corrections.get(f"{drawing.source}/{drawing.key}")
        if corrected is not None:
            return corrected or None
        find = {
            "emoji": self._by_code_or_name,
            "flags": self._by_region,
            "webp": self._by_published_code,
            "stamps": self._by_key,
        }.get(kind, self._by_title)
        return find(drawing)

    def is_corrected(self, drawing: Drawing) -> bool:
        """Tell whether a person gave the concept, because the drawing's own words mislead."""
        return f"{drawing.source}/{drawing.key}" in self.corrections

    def is_skin_tone(self, drawing: Drawing) -> bool:
        """Tell whether the set's own code of a drawing names a skin tone."""
        codes = self.codes.get(drawing.source, {})
        return any(has_skin_tone("", codes.get(name, "")) for name in drawing.names)

    def _known(self, code: str) -> str | None:
        return code if code in self.emoji else None

    def _by_code_or_name(self, drawing: Drawing) -> str | None:
        codes = self.codes.get(drawing.source, {})
        coded = [codes[name] for name in drawing.names if name in codes]
        if coded:
            return next((code for code in coded if code in self.emoji), None)
        found = (self.index.find(name) for name in drawing.names)
        return next((code for code in found if code), None)

    def _by_region(self, drawing: Drawing) -> str | None:
        try:
            return self._known(region_code(drawing.key))
        except ValueError:
            return None

    def _by_published_code(self, drawing: Drawing) -> str | None:
        """Keep what Microsoft's repository has; the package mixes in others' flags and families."""
        code = normal_code(drawing.key)
        return self._known(code) if code in self.codes[FLUENT].values() else None

    def _flag_of(self, name: str) -> str | None:
        country = slug(_FLAG_NOISE.sub("", name)).replace("saint-", "st-")
        return self.countries.get(country) or self.index.find(f"flag {country}")

    def _by_key(self, drawing: Drawing) -> str:
        return f"stamp:{slug(drawing.key)}"

    def _by_title(self, drawing: Drawing) -> str | None:
        title = drawing.title
        if not title:
            return None
        if drawing.hint == "flag":
            found = (self._flag_of(name) for name in (drawing.key, title))
            return next((code for code in found if code), None)
        joined = self.joins.get(title)
        if joined is None and len(title) >= MIN_TITLE_LETTERS:
            joined = self.index.find(title) or self.index.find(f"flag {title}")
        return joined or f"x:{slug(title)}"


def load_mapper(work: Path, sources: list[Source]) -> Mapper:
    """Build the mapper from the fetched packages and the tables beside the code."""
    emoji = load_emoji(work)
    codes = {}
    for source in sources:
        if source.kind == "emoji":
            lender = BORROWED_CODES.get(source.name, source.name)
            codes[source.name] = read_codes(work, lender, emoji)
    table = load_table("fxemoji_codes")
    codes["fxemoji"] = {name: normal_code(code) for name, code in table.items()}
    return Mapper(
        emoji=emoji,
        index=build_index(work, emoji, CODE_SETS),
        codes=codes,
        corrections=load_table("corrections"),
        countries=load_table("countries"),
        joins=load_title_table(TABLES / "titles.json").joins,
    )
