"""The list of emoji concepts, and the ways in which icon sets write their names."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.pictograms.labels import normal_code, slug, squeeze
from recipes.pictograms.sources import source_folder

COMPONENT_GROUP = 2
SHORTCODE_SETS = ("cldr", "emojibase", "github", "iamcal", "emojibase-legacy")
HAIR = {"1f9b0", "1f9b1", "1f9b2", "1f9b3"}
JOINER = "200d"
CLDR_FILE = "package/annotations/en/annotations.json"
EMOJILIB_FILE = "package/dist/emoji-en-US.json"
MAN_OR_WOMAN = ("1f468", "1f469")
GENDER_SIGNS = ("2640", "2642")
TO_THE_RIGHT = "27a1"


@dataclass(frozen=True)
class Emoji:
    """One emoji without skin tone; `variant` names the family it belongs to, or is empty."""

    code: str
    label: str
    tags: tuple[str, ...]
    group: str
    subgroup: str
    is_flag: bool
    variant: str
    family: str


def variant_kind(code: str) -> str:
    """Say which held-out kind a code belongs to: direction, hair, gender, or none ("")."""
    parts = code.split("-")
    if JOINER not in parts:
        return ""
    if parts[-1] == TO_THE_RIGHT:
        return "direction"
    if HAIR & set(parts):
        return "hair"
    if parts[-1] in GENDER_SIGNS or parts[0] in MAN_OR_WOMAN:
        return "gender"
    return ""


def family_of(code: str) -> str:
    """Return the code of the form without gender and direction; hair variants share `hair`."""
    kind = variant_kind(code)
    if not kind:
        return code
    if kind == "hair":
        return "hair"
    parts = code.split("-")
    if parts[-1] == TO_THE_RIGHT:
        parts = parts[:-2]
    if parts[-1] in GENDER_SIGNS:
        parts = parts[:-2]
    if parts[0] in MAN_OR_WOMAN and len(parts) > 1:
        if "1f48b" in parts:
            return "1f48f"
        if "2764" in parts:
            return "1f491"
        if {"1f466", "1f467"} & set(parts):
            return "1f46a"
        parts[0] = "1f9d1"
    return "-".join(parts)


def load_emoji(work: Path) -> dict[str, Emoji]:
    """Read emojibase's list: code to Emoji, without skin tones and components."""
    english = source_folder(work, "emojibase-data") / "package" / "en"
    rows = json.loads((english / "data.json").read_text(encoding="utf-8"))
    messages = json.loads((english / "messages.json").read_text(encoding="utf-8"))
    groups = {row["order"]: row["key"] for row in messages["groups"]}
    subgroups = {row["order"]: row["key"] for row in messages["subgroups"]}
    kept = [row for row in rows if row.get("group", COMPONENT_GROUP) != COMPONENT_GROUP]
    return {emoji.code: emoji for emoji in (_emoji(row, groups, subgroups) for row in kept)}


def _emoji(row: dict[str, Any], groups: dict[int, str], subgroups: dict[int, str]) -> Emoji:
    code = normal_code(row["hexcode"])
    group = groups[row["group"]]
    return Emoji(
        code=code,
        label=row["label"],
        tags=tuple(row.get("tags", ())),
        group=group,
        subgroup=subgroups[row["subgroup"]],
        is_flag=subgroups[row["subgroup"]] in {"country-flag", "subdivision-flag"},
        variant=variant_kind(code),
        family=family_of(code),
    )


def read_codes(work: Path, name: str, emoji: dict[str, Emoji]) -> dict[str, str]:
    """Read an icon set's own table of codes: icon name to code, where it has several an emoji's."""
    path = source_folder(work, name) / "package" / "chars.json"
    if not path.exists():
        return {}
    codes: dict[str, str] = {}
    for hexcode, icon in json.loads(path.read_text(encoding="utf-8")).items():
        code = normal_code(hexcode)
        if icon not in codes or code in emoji:
            codes[icon] = code
    return codes


def load_shortcodes(work: Path) -> dict[str, list[str]]:
    """Return emojibase's shortcodes: emoji code to names, the most canonical first."""
    folder = source_folder(work, "emojibase-data") / "package" / "en" / "shortcodes"
    codes: dict[str, list[str]] = {}
    for name in SHORTCODE_SETS:
        table = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for hexcode, names in table.items():
            names = [names] if isinstance(names, str) else names
            codes.setdefault(normal_code(hexcode), []).extend(names)
    return codes


def code_of(characters: str) -> str:
    """Return the code of an emoji written as characters."""
    return normal_code("-".join(f"{ord(character):x}" for character in characters))


def read_keywords(work: Path) -> dict[str, list[str]]:
    """Return CLDR's and emojilib's keywords by emoji code."""
    keywords: dict[str, list[str]] = defaultdict(list)
    cldr = source_folder(work, "cldr-annotations") / CLDR_FILE
    notes = json.loads(cldr.read_text(encoding="utf-8"))["annotations"]["annotations"]
    for characters, row in notes.items():
        keywords[code_of(characters)] += row.get("default", [])
    emojilib = source_folder(work, "emojilib") / EMOJILIB_FILE
    for characters, words in json.loads(emojilib.read_text(encoding="utf-8")).items():
        keywords[code_of(characters)] += words
    return keywords


class NameIndex:
    """Finds the emoji that an icon set's name means; the first writer of a name wins."""

    def __init__(self, emoji: dict[str, Emoji]) -> None:
        self._emoji = emoji
        self._codes: dict[str, str] = {}

    def add(self, name: str, code: str) -> None:
        """Let `name` mean `code`, in its spelt and squeezed forms, unless it is taken."""
        if code in self._emoji:
            self._codes.setdefault(slug(name), code)
            self._codes.setdefault(squeeze(name), code)

    def find(self, name: str) -> str | None:
        """Return the emoji code that a name means, or None."""
        return self._codes.get(slug(name)) or self._codes.get(squeeze(name))


def build_index(work: Path, emoji: dict[str, Emoji], code_sets: tuple[str, ...]) -> NameIndex:
    """Gather names: labels first, then sets that carry codes, then shortcodes."""
    index = NameIndex(emoji)
    for code, entry in emoji.items():
        index.add(entry.label, code)
        if entry.is_flag:
            country = entry.label.removeprefix("flag: ")
            index.add(f"flag {country}", code)
            index.add(f"flag for {country}", code)
    for name in code_sets:
        for icon, code in read_codes(work, name, emoji).items():
            index.add(icon, code)
    for code, names in load_shortcodes(work).items():
        for shortcode in names:
            index.add(shortcode, code)
    return index
