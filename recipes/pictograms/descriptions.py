"""Descriptions of a concept by a few of its words, and what words have to do with concepts.

Axes: concept (those that may be trained on), base (forms that stand for all forms of a word), n
(words of a concept).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any, final

import numpy as np
from jaxtyping import Float32, Float64, Int64

from clipworks.errors import SettingsError
from recipes.pictograms.phrases import MEDIA
from recipes.pictograms.splits import Concepts
from recipes.pictograms.wording import (
    LIGHT,
    OPEN,
    PAIRS,
    WordForms,
    among_fillers,
    content_words,
    framed,
    quoted,
)

MATTERS = {"name": 1.0, "own": 0.8, "kind": 0.7, "definition": 0.7, "kinds_definition": 0.5}
"""How much a concept has to do with a word that stands in its name, its keywords or titles, the
names of its kinds, its definition, or the definitions of its kinds."""

WORD_COUNTS = (0.2, 0.4, 0.3, 0.1)
"""Shares of the descriptions with one, two, three and four words."""


@dataclass(frozen=True, kw_only=True)
class DescriptionConfig:
    """How concepts are described. Shares are from 0 to 1.

    Attributes:
        quote_share: of the descriptions, those that are words of a definition as they stand there.
        stray_share: of the descriptions, those with a word of another concept.
        frame_share: of those with one or two words, those in a frame.
        light_share: of the others, those with a verb that says little: "keep".
        other_form_share: of the words, those in another form: "feet".
    """

    quote_share: float = 0.25
    stray_share: float = 0.15
    frame_share: float = 0.4
    light_share: float = 0.3
    other_form_share: float = 0.25

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self)):
            if not 0 <= getattr(self, name) <= 1:
                given = getattr(self, name)
                raise SettingsError(f"[descriptions] {name} is {given!r}: expected in [0, 1]")


Description = tuple[tuple[int, ...], str]
"""The numbers of the bases in a text, and the text."""


@dataclass(frozen=True)
class Described:
    """What a concept may be described by.

    Attributes:
        words: one form of each base, as it stands in the concept's texts.
        bases: the number of each word's base.
        chances: of each word, in sum 1.
        definitions: its own and those of its kinds.
    """

    words: list[str]
    bases: Int64[np.ndarray, "n"]
    chances: Float64[np.ndarray, "n"]
    definitions: list[list[str]]


@final
class Descriptions:
    """Descriptions of the concepts that may be trained on.

    The relevance of a base for a concept is its inverse document frequency (Sparck Jones 1972)
    times what `MATTERS` says.

    Args:
        concepts: the words.
        trained: the concepts that may be trained on, in order.
        config: shares.
        bases: of words that have another.
        forms: other forms of words.
        unsaid: texts, in lower case, that are never said: the questions of tests.

    Attributes:
        known: the concepts that have a word which says something.
        relevance: of each base for each concept; 0 where they have nothing to do with each other.
    """

    def __init__(
        self,
        concepts: Concepts,
        trained: list[str],
        config: DescriptionConfig,
        *,
        bases: dict[str, str],
        forms: dict[str, list[str]],
        unsaid: frozenset[str],
    ) -> None:
        self._config = config
        self._bases = bases
        self._forms = WordForms(forms, config.other_form_share)
        self._unsaid = unsaid
        found = [dict(_words_that_matter(concepts[name], bases)) for name in trained]
        self._numbers = {base: n for n, base in enumerate(dict.fromkeys(_all_keys(found)))}
        self.relevance: Float32[np.ndarray, "base concept"] = self._relevance_of(found)
        self._described = [
            self._describe(words, concepts[name].get("definitions", []), row)
            for row, (name, words) in enumerate(zip(trained, found, strict=True))
        ]
        self.known: Int64[np.ndarray, "concept"] = np.flatnonzero([bool(words) for words in found])

    def draw(self, concept: int, rng: np.random.Generator) -> Description:
        """Describe a concept that is known."""
        while True:
            numbers, text = self._draw(self._described[concept], rng)
            if rng.random() < self._config.stray_share:
                numbers, text = self._led_astray(numbers, text, rng)
            if numbers and text.lower() not in self._unsaid:
                return numbers, text

    def _draw(self, described: Described, rng: np.random.Generator) -> Description:
        if described.definitions and rng.random() < self._config.quote_share:
            words = described.definitions[rng.integers(len(described.definitions))]
            quote = quoted(words, rng)
            bases = [self._bases.get(word, word) for word in content_words(quote)]
            return tuple(dict.fromkeys(self._numbers[base] for base in bases)), quote
        return self._compose(described, rng)

    def _led_astray(
        self, numbers: tuple[int, ...], text: str, rng: np.random.Generator
    ) -> Description:
        """Put a word of another concept anywhere into a text."""
        other = self._described[int(rng.choice(self.known))]
        place = int(rng.choice(len(other.words), p=other.chances))
        words = text.split()
        word = self._forms.vary(other.words[place], rng)
        words.insert(int(rng.integers(len(words) + 1)), word)
        return tuple(dict.fromkeys((*numbers, int(other.bases[place])))), " ".join(words)

    def _compose(self, described: Described, rng: np.random.Generator) -> Description:
        config = self._config
        wanted = 1 + int(rng.choice(len(WORD_COUNTS), p=WORD_COUNTS))
        places = rng.choice(
            len(described.words),
            min(wanted, len(described.words)),
            replace=False,
            p=described.chances,
        )
        numbers = tuple(int(number) for number in described.bases[places])
        words = [self._forms.vary(described.words[place], rng) for place in places]
        if len(words) <= 2 and rng.random() < config.frame_share:
            return numbers, framed(OPEN if len(words) == 1 else PAIRS, rng, *words)
        if rng.random() < config.light_share:
            words.append(LIGHT[rng.integers(len(LIGHT))])
        return numbers, among_fillers(words, rng)

    def _describe(
        self, found: dict[str, tuple[float, str]], texts: list[str], row: int
    ) -> Described:
        bases = np.array([self._numbers[base] for base in found], np.int64)
        chances = np.sqrt(self.relevance[bases, row].astype(np.float64))  # [n]
        return Described(
            words=[word for _, word in found.values()],
            bases=bases,
            chances=chances / max(chances.sum(), 1e-9),
            definitions=[text.lower().split() for text in texts],
        )

    def _relevance_of(
        self, found: list[dict[str, tuple[float, str]]]
    ) -> Float32[np.ndarray, "base concept"]:
        relevance = np.zeros((len(self._numbers), len(found)), np.float32)
        for row, words in enumerate(found):
            for base, (matters, _) in words.items():
                relevance[self._numbers[base], row] = matters
        spread = (relevance > 0).sum(axis=1, keepdims=True)  # [base 1]
        relevance *= np.log(1 + len(found) / spread)
        return relevance


def _words_that_matter(
    words: dict[str, Any], bases: dict[str, str]
) -> Iterator[tuple[str, tuple[float, str]]]:
    """Yield bases, how much they matter, and the word; what matters most comes last."""
    definitions = words.get("definitions", [])
    own = [text for text in (*words["titles"], *words["keywords"]) if text not in MEDIA]
    kinds = (words["group"], words["subgroup"], *words.get("kinds", ()))
    for texts, source in (
        (definitions[1:], "kinds_definition"),
        (definitions[:1], "definition"),
        (kinds, "kind"),
        ((*own, *words.get("colours", ())), "own"),
        ([words["name"]], "name"),
    ):
        for word in content_words(" ".join(texts)):
            yield bases.get(word, word), (MATTERS[source], word)


def _all_keys(found: Iterable[dict[str, Any]]) -> Iterator[str]:
    for words in found:
        yield from words
