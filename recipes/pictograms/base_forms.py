"""One form for all forms of a word: `flies`, `flew` and `flying` are `fly`.

After morphy(7WN) of WordNet, but verbs and nouns in one: a word may be either.
"""

from __future__ import annotations

from pathlib import Path
from typing import final

from recipes.pictograms.sources import source_folder

PARTS = ("verb", "noun")
ENDINGS = (
    ("s", ""),
    ("ses", "s"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("ies", "y"),
    ("es", "e"),
    ("es", ""),
    ("ied", "y"),
    ("ed", "e"),
    ("ed", ""),
    ("ing", "e"),
    ("ing", ""),
)
"""What is taken off a word, and what is put in its place; the first that gives a word counts."""

DOUBLED = ("ed", "ing")
"""Endings before which a last consonant may stand twice."""

FEWEST_LETTERS = 3
"""Of a base: `thing` is no form of thorium's `Th`."""


@final
class BaseForms:
    """Reduces words to their bases.

    Args:
        work: where `fetch` put WordNet.
    """

    def __init__(self, work: Path) -> None:
        folder = source_folder(work, "wordnet-base") / "usr/share/wordnet"
        self._irregular: dict[str, str] = {}
        self._known: set[str] = set()
        for part in PARTS:
            for line in (folder / f"{part}.exc").read_text(encoding="utf-8").splitlines():
                form, base, *_ = line.split()
                self._irregular.setdefault(form, base)
            self._known |= _words_of_index(folder / f"index.{part}")

    def base(self, word: str) -> str:
        """The base of a word in lower case (`buildings` is `build`); itself where there is none."""
        shorter = self._step(word)
        while shorter != word:
            word, shorter = shorter, self._step(shorter)
        return word

    def _step(self, word: str) -> str:
        if word in self._irregular:
            return self._irregular[word]
        return next((base for base in self._candidates(word) if base in self._known), word)

    def _candidates(self, word: str) -> list[str]:
        found = []
        for ending, instead in ENDINGS:
            stem = word.removesuffix(ending)
            if stem == word or not stem or word.endswith("ss"):
                continue
            found.append(stem + instead)
            if ending in DOUBLED and stem[-1:] == stem[-2:-1]:
                found.append(stem[:-1])
        return [base for base in found if len(base) >= FEWEST_LETTERS]


def _words_of_index(path: Path) -> set[str]:
    with path.open(encoding="utf-8") as lines:
        return {line.split(" ", 1)[0] for line in lines if not line.startswith("  ")}
