"""Sentences around phrases: general frames, which say nothing about what is shown."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_WORDING = json.loads(Path(__file__).with_name("wording.json").read_text(encoding="utf-8"))
SINGLE, OPEN, PAIRS, COLOURED = (_WORDING[key] for key in ("single", "open", "pairs", "coloured"))
FILLERS = _WORDING["fillers"]
"""Words that may stand between phrases and change nothing."""

LIGHT = _WORDING["light"]
"""Verbs and adverbs that say little of what is shown."""

STOP_WORDS = frozenset(_WORDING["stop"])
MOST_FILLERS = 3
FEWEST_GLOSS_WORDS, MOST_GLOSS_WORDS = 3, 8
_WORD = re.compile(r"[a-z]{3,}")


@dataclass(frozen=True)
class WordForms:
    """Other forms of the same word: `foot`, `feet`.

    Attributes:
        forms: of each word that has any.
        share: of the words that are put into another form.
    """

    forms: dict[str, list[str]]
    share: float

    def vary(self, text: str, rng: np.random.Generator) -> str:
        """Put some words of a text into another form; the grammar may suffer."""
        return " ".join(self._vary_word(word, rng) for word in text.split())

    def _vary_word(self, word: str, rng: np.random.Generator) -> str:
        forms = () if word in STOP_WORDS else self.forms.get(word, ())
        if not forms or rng.random() >= self.share:
            return word
        return forms[rng.integers(len(forms))]


def framed(frames: list[str], rng: np.random.Generator, *phrases: str) -> str:
    """Put phrases into one of some frames."""
    text = frames[rng.integers(len(frames))].format(*phrases)
    return re.sub(r"\ba (?=[aeiou])", "an ", text)


def among_fillers(phrases: list[str], rng: np.random.Generator) -> str:
    """Phrases in any order, with words around them that change nothing."""
    parts: list[str] = []
    for place in rng.permutation(len(phrases)):
        count = int(rng.integers(MOST_FILLERS))
        parts += [FILLERS[number] for number in rng.integers(len(FILLERS), size=count)]
        parts.append(phrases[place])
    return " ".join(parts)


def part_of_gloss(gloss: str, rng: np.random.Generator) -> str:
    """Some words of a definition that follow each other, its first ones half of the time."""
    words = gloss.split()
    if len(words) <= FEWEST_GLOSS_WORDS:
        return gloss
    length = int(rng.integers(FEWEST_GLOSS_WORDS, min(len(words), MOST_GLOSS_WORDS) + 1))
    start = 0 if rng.random() < 0.5 else int(rng.integers(len(words) - length + 1))
    return " ".join(words[start : start + length])


def quoted(words: list[str], rng: np.random.Generator) -> str:
    """Some words of a text that follow each other, from anywhere in it."""
    length = int(rng.integers(FEWEST_GLOSS_WORDS, MOST_GLOSS_WORDS + 1))
    start = int(rng.integers(max(len(words) - length, 0) + 1))
    return " ".join(words[start : start + length]).strip(" ;,.'\"")


def content_words(text: str) -> list[str]:
    """The words of a text that say something, each once."""
    return [word for word in dict.fromkeys(_WORD.findall(text.lower())) if word not in STOP_WORDS]
