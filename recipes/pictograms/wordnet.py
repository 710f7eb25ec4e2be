"""WordNet's nouns: what a word means, what else it is called, and what kinds of thing it is.

The files are described in wndb(5WN) and lexnames(5WN) of the package.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

from recipes.pictograms.sources import source_folder

LEXNAMES = {
    "act": 4,
    "animal": 5,
    "artifact": 6,
    "body": 8,
    "communication": 10,
    "food": 13,
    "location": 15,
    "object": 17,
    "person": 18,
    "phenomenon": 19,
    "plant": 20,
    "possession": 21,
    "substance": 27,
}
"""Numbers of the lexicographer's files, of those that hold what can be drawn."""

MAX_KIND_STEPS = 8
_HYPERNYM = "@"
_BRACKETS = re.compile(r"\s*\([^)]*\)")
_MARKER = re.compile(r"\((?:a|p|ip)\)$")


@dataclass(frozen=True)
class Sense:
    """One meaning of a noun.

    Attributes:
        offset: where it stands in `data.noun`; its identity.
        lexname: number of its lexicographer's file.
        words: its names, the most usual first.
        parents: offsets of the kinds of thing that it is.
        gloss: the first part of its definition, without examples and brackets.
        definition: all parts of it, without examples and brackets.
    """

    offset: int
    lexname: int
    words: tuple[str, ...]
    parents: tuple[int, ...]
    gloss: str
    definition: str


@final
class Nouns:
    """Looks nouns up.

    Args:
        work: where `fetch` put the package.
    """

    def __init__(self, work: Path) -> None:
        folder = source_folder(work, "wordnet-base") / "usr/share/wordnet"
        self._senses = {sense.offset: sense for sense in read_senses(folder / "data.noun")}
        self._offsets = dict(read_index(folder / "index.noun"))

    def senses(self, noun: str) -> list[Sense]:
        """The meanings of a noun in the singular, the most frequent first."""
        offsets = self._offsets.get(noun.lower().replace(" ", "_"), ())
        return [self._senses[offset] for offset in offsets]

    def ancestors(self, sense: Sense, without: frozenset[str]) -> Iterator[Sense]:
        """Yield what a sense is a kind of, the nearest first, up to something in `without`."""
        for _ in range(MAX_KIND_STEPS):
            if not sense.parents:
                return
            sense = self._senses[sense.parents[0]]
            if without & set(sense.words):
                return
            yield sense

    def kinds(self, sense: Sense, without: frozenset[str]) -> list[str]:
        """The names of what a sense is a kind of, in the order of `ancestors`."""
        found = (word for kind in self.ancestors(sense, without) for word in kind.words[:2])
        return list(dict.fromkeys(found))


def read_senses(path: Path) -> Iterator[Sense]:
    """Yield what stands in a data file."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.startswith("  "):  # the licence stands in front
                yield parse_sense(line)


def parse_sense(line: str) -> Sense:
    """Read one line of a data file."""
    head, _, gloss = line.partition(" | ")
    fields = head.split()
    count = int(fields[3], 16)
    words = (_MARKER.sub("", word).replace("_", " ") for word in fields[4 : 4 + 2 * count : 2])
    pointers = fields[5 + 2 * count :]
    parents = (
        int(pointers[place + 1])
        for place in range(0, 4 * int(fields[4 + 2 * count]), 4)
        if pointers[place].startswith(_HYPERNYM)
    )
    definition = _BRACKETS.sub("", gloss.partition('; "')[0]).strip()
    return Sense(
        offset=int(fields[0]),
        lexname=int(fields[1]),
        words=tuple(words),
        parents=tuple(parents),
        gloss=definition.split(";")[0].strip(),
        definition=definition,
    )


def read_index(path: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the nouns (blanks as underscores) with the offsets of their senses."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.startswith("  "):
                fields = line.split()
                yield fields[0], tuple(int(offset) for offset in fields[-int(fields[2]) :])


def read_irregular_forms(work: Path) -> dict[str, list[str]]:
    """Return the irregular forms of nouns and verbs by their base: `foot` has `feet`."""
    folder = source_folder(work, "wordnet-base") / "usr/share/wordnet"
    forms: dict[str, list[str]] = defaultdict(list)
    for name in ("noun.exc", "verb.exc"):
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            form, *bases = line.split()
            for base in bases:
                forms[base].append(form)
    return dict(forms)


def regular_forms(word: str) -> list[str]:
    """How a word might look in the plural, or as another form of a verb. Most are no words."""
    stem = word.removesuffix("e")
    forms = [f"{word}s", f"{word}es", f"{stem}ing", f"{stem}ed"]
    if word.endswith("y"):
        forms += [f"{word[:-1]}ies", f"{word[:-1]}ied"]
    return [*forms, f"{word}{word[-1]}ing", f"{word}{word[-1]}ed"]


def word_forms(
    words: Iterable[str], dictionary: frozenset[str], irregular: dict[str, list[str]]
) -> dict[str, list[str]]:
    """Return, for each word that has any, the other forms of the same word."""
    families: dict[str, set[str]] = defaultdict(set)
    for base in sorted(dictionary):
        forms = {*regular_forms(base), *irregular.get(base, ())} & dictionary
        family = {base, *forms}
        for word in family:
            families[word] |= family
    return {
        word: sorted(families[word] - {word})
        for word in sorted(set(words))
        if len(families.get(word, ())) > 1
    }
