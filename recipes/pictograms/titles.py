"""Titles of icons and clip art: what a file name or a metadata title says, in plain words. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from recipes.pictograms.labels import tidy_words

MIN_LETTERS = 3
_STYLE_SUFFIX = re.compile(r"-(?:flat|duo|fill)$")
_NUMBERS_AT_END = re.compile(r"(?:[-_ ]+\d+)+$")
_GLUED_NUMBER = re.compile(r"(?<=[a-z])\d+$")
_BRACKETS = re.compile(r"\([^)]*\)|\[[^]]*\]")
_BLACK_AND_WHITE = re.compile(r"[-_ ](?:bw|b and w|b&w)$", re.IGNORECASE)
_BOILERPLATE = re.compile(
    r"clip ?art|collection|theme|symbol.?signs|road signs|simple arrows|untitled|hash\(|\.svg|"
    r"musicstuff|unnamed|icon(s)?$|^icon",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class TitleTable:
    """Words that are stripped, respelt or refused (`tables/titles.json`)."""

    prefixes: tuple[str, ...]
    keep: frozenset[str]
    tails: frozenset[str]
    spelling: dict[str, str]
    brands: tuple[str, ...]
    jargon: frozenset[str]
    refuse: frozenset[str]
    joins: dict[str, str]


def load_title_table(path: Path) -> TitleTable:
    """Read the table; longer prefixes come first."""
    table = json.loads(path.read_text(encoding="utf-8"))
    return TitleTable(
        prefixes=tuple(sorted(table["prefixes"], key=len, reverse=True)),
        keep=frozenset(table["keep"]),
        tails=frozenset(table["tails"]),
        spelling=table["spelling"],
        brands=tuple(f" {brand} " for brand in table["brands"]),
        jargon=frozenset(table["jargon"]),
        refuse=frozenset(table["refuse"]),
        joins=table["joins"],
    )


def icon_title(key: str, table: TitleTable) -> str:
    """Return what an icon's file name says, or "" where it says nothing visible."""
    key = _NUMBERS_AT_END.sub("", _STYLE_SUFFIX.sub("", key))
    words = [table.spelling.get(word, word) for word in key.replace("-", " ").split()]
    while len(words) > 1 and words[-1] in table.tails:
        words.pop()
    title = strip_prefix(once_each(" ".join(words).split()), table)
    return "" if is_unseen(title, table) else title


def once_each(words: list[str]) -> str:
    """Join words, without a word that repeats the one before it."""
    return " ".join(word for index, word in enumerate(words) if words[index - 1 : index] != [word])


def strip_prefix(title: str, table: TitleTable) -> str:
    """Remove a set's category words (`fast food french fries`) where something remains."""
    if title in table.keep:
        return title
    for prefix in table.prefixes:
        rest = title.removeprefix(f"{prefix} ")
        if rest != title and re.search("[a-z]{3}", rest):
            return rest
    return title


def is_unseen(title: str, table: TitleTable) -> bool:
    """Tell whether a title names a brand, or has a word of the trade and nothing to see."""
    padded = f" {title} "
    if not title or title in table.refuse or any(brand in padded for brand in table.brands):
        return True
    return any(f" {jargon} " in padded for jargon in table.jargon) and title not in table.joins


def clipart_title(title: str, stem: str) -> str:
    """Return a drawing's title, or its file's name where the title is boilerplate."""
    chosen = stem if not title.strip() or _BOILERPLATE.search(title) else title
    chosen = _BRACKETS.sub(" ", chosen).split(" - ")[0]
    chosen = _BLACK_AND_WHITE.sub("", chosen.strip())
    chosen = tidy_words(chosen.replace("-", " ").replace("_", " "))
    return _GLUED_NUMBER.sub("", _NUMBERS_AT_END.sub("", chosen)).strip()


def known_words(text: str, dictionary: frozenset[str]) -> str:
    """Return the words of a text that the dictionary knows, in order; "" if most are unknown."""
    words = re.findall(r"[a-z][a-z'\u2019]*", text.lower())
    known = [word for word in words if word in dictionary]
    if 2 * len(known) < len(words) or not any(len(word) >= MIN_LETTERS for word in known):
        return ""
    return " ".join(known)
