"""What may be said of a concept, and which concepts a phrase is right for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from recipes.pictograms.splits import Concepts
from recipes.pictograms.wording import (
    COLOURED,
    OPEN,
    PAIRS,
    SINGLE,
    WordForms,
    among_fillers,
    content_words,
    framed,
    part_of_gloss,
)

MEDIA = {"bitmap", "drawing", "clip art", "png", "svg", "icon", "icons"}
"""Keywords of clip art that say how it was made, not what it shows."""

Said = tuple[tuple[int, ...], str]
"""The numbers of phrases, and the text in which they stand."""


@dataclass(frozen=True, kw_only=True)
class PhraseConfig:
    """Shares of the texts of a batch, and weights of what is right for a picture.

    Attributes:
        name_share: the concept's own name.
        kind_share: its kind: "a fruit".
        gloss_share: its definition, or a part of it.
        several_share: two or three of its phrases in one text: "a fruit that is yellow". What is
            left are keywords and titles.
        kind_lead_share: of the texts with several, those that say its kind.
        colour_share: of the texts with several, those that say its colour.
        gloss_word_share: of the further phrases, those that are words of its definition.
        sentence_share: of the texts with several, those with fillers between the phrases.
        bare_share: of single phrases, those without a frame.
        other_form_share: of the words of what is no bare name, those in another form: "feet".
        loose_weight: of all but names as positives, where a name has 1.
    """

    name_share: float = 0.36
    kind_share: float = 0.03
    gloss_share: float = 0.09
    several_share: float = 0.34
    kind_lead_share: float = 0.45
    colour_share: float = 0.12
    gloss_word_share: float = 0.3
    sentence_share: float = 0.3
    bare_share: float = 0.6
    other_form_share: float = 0.15
    loose_weight: float = 0.2


@dataclass(frozen=True)
class Sayable:
    """The numbers of the phrases for one concept.

    Attributes:
        name: the canonical one.
        loose: keywords and titles.
        kinds: what kind of thing it is.
        glosses: definitions.
        gloss_words: single words of the definitions.
        colours: one, or none.
    """

    name: int
    loose: Int64[np.ndarray, "n"]
    kinds: Int64[np.ndarray, "n"]
    glosses: Int64[np.ndarray, "n"]
    gloss_words: Int64[np.ndarray, "n"]
    colours: Int64[np.ndarray, "n"]


class Phrases:
    """The phrases of the concepts that may be trained on.

    Args:
        concepts: the words.
        trained: the concepts that may be trained on, in order.
        config: shares and weights.
        forms: other forms of words.
        unsaid: texts, in lower case, that are never said: the questions of tests.

    Attributes:
        texts: all phrases.
        weights: how right a phrase is for a concept; 0 where it is not.
    """

    def __init__(
        self,
        concepts: Concepts,
        trained: list[str],
        config: PhraseConfig,
        *,
        forms: dict[str, list[str]] | None = None,
        unsaid: frozenset[str] = frozenset(),
    ) -> None:
        self._config = config
        self._forms = WordForms(forms or {}, config.other_form_share)
        self._unsaid = unsaid
        self._index: dict[str, int] = {}
        self._sayable = [self._number_words(concepts[concept]) for concept in trained]
        self.texts = list(self._index)
        self.weights = self._weigh()
        spread = (self.weights > 0).sum(axis=0)  # [phrase]: concepts that a phrase is right for
        self._rarity = 1 / np.sqrt(np.maximum(spread, 1))

    def draw(self, concept: int, rng: np.random.Generator) -> Said:
        """Choose what to say of a concept."""
        while True:
            numbers, text = self._draw(self._sayable[concept], rng)
            if text.lower() not in self._unsaid:
                return numbers, text

    def weigh(
        self, concepts: Int64[np.ndarray, "image"], texts: list[tuple[int, ...]]
    ) -> Float32[np.ndarray, "image text"]:
        """How right texts are for concepts: of a text's phrases the least right one counts."""
        phrases = np.concatenate([np.array(numbers) for numbers in texts])
        starts = np.cumsum([0, *(len(numbers) for numbers in texts[:-1])])
        return np.minimum.reduceat(self.weights[np.ix_(concepts, phrases)], starts, axis=1)

    def _draw(self, words: Sayable, rng: np.random.Generator) -> Said:
        config, lot = self._config, rng.random()
        lot -= config.several_share
        if lot < 0 and len(words.loose) + len(words.gloss_words):
            return self._draw_several(words, rng)
        lot -= config.gloss_share
        if lot < 0 and len(words.glosses):
            number = self._draw_one(words.glosses, rng)
            return (number,), self._forms.vary(part_of_gloss(self.texts[number], rng), rng)
        lot -= config.kind_share
        if lot < 0 and len(words.kinds):
            return self._say(self._draw_one(words.kinds, rng), rng)
        lot -= config.name_share
        if lot < 0 or not len(words.loose):
            return self._say_name(words.name, rng)
        return self._say(self._draw_one(words.loose, rng), rng)

    def _say_name(self, number: int, rng: np.random.Generator) -> Said:
        name = self.texts[number]
        bare = rng.random() < self._config.bare_share
        return (number,), name if bare else framed(SINGLE, rng, name)

    def _say(self, number: int, rng: np.random.Generator) -> Said:
        text = self._forms.vary(self.texts[number], rng)
        if rng.random() < self._config.bare_share:
            return (number,), text
        return (number,), framed(OPEN if rng.random() < 0.6 else SINGLE, rng, text)

    def _draw_several(self, words: Sayable, rng: np.random.Generator) -> Said:
        config = self._config
        first = self._draw_lead(words, rng)
        if len(words.colours) and rng.random() < config.colour_share:
            numbers = (int(words.colours[0]), first)
            return numbers, framed(COLOURED, rng, *(self.texts[number] for number in numbers))
        numbers = (first, self._draw_further(words, rng))
        if rng.random() < 0.25:
            numbers = (*numbers, self._draw_further(words, rng))
        said = [self._forms.vary(self.texts[number], rng) for number in numbers]
        if rng.random() < config.sentence_share:
            return numbers, among_fillers(said, rng)
        return numbers, framed(PAIRS, rng, said[0], " ".join(said[1:]))

    def _draw_lead(self, words: Sayable, rng: np.random.Generator) -> int:
        if len(words.kinds) and rng.random() < self._config.kind_lead_share:
            return self._draw_one(words.kinds, rng)
        if len(words.loose) and rng.random() < 0.5:
            return self._draw_one(words.loose, rng)
        return words.name

    def _draw_further(self, words: Sayable, rng: np.random.Generator) -> int:
        if len(words.gloss_words) and rng.random() < self._config.gloss_word_share:
            return self._draw_one(words.gloss_words, rng)
        return self._draw_one(words.loose, rng) if len(words.loose) else words.name

    def _draw_one(self, numbers: Int64[np.ndarray, "n"], rng: np.random.Generator) -> int:
        """One of some phrases, rare ones more often."""
        ends = self._rarity[numbers].cumsum()
        return int(numbers[np.searchsorted(ends, rng.random() * ends[-1])])

    def _number_words(self, words: dict) -> Sayable:
        loose = [word for word in (*words["titles"], *words["keywords"]) if word not in MEDIA]
        kinds = (words["group"], words["subgroup"], *words.get("kinds", ()))
        glosses = words.get("glosses", [])
        return Sayable(
            name=self._number(words["name"]),
            loose=self._numbers(loose),
            kinds=self._numbers(kind for kind in kinds if kind),
            glosses=self._numbers(glosses),
            gloss_words=self._numbers(word for gloss in glosses for word in content_words(gloss)),
            colours=self._numbers(words.get("colours", ())),
        )

    def _numbers(self, phrases: Iterable[str]) -> Int64[np.ndarray, "n"]:
        return np.array([self._number(phrase) for phrase in dict.fromkeys(phrases)], np.int64)

    def _number(self, phrase: str) -> int:
        return self._index.setdefault(phrase, len(self._index))

    def _weigh(self) -> Float32[np.ndarray, "concept phrase"]:
        weights = np.zeros((len(self._sayable), len(self._index)), np.float32)
        for row, words in zip(weights, self._sayable, strict=True):
            for numbers in (words.loose, words.kinds, words.glosses, words.gloss_words):
                row[numbers] = self._config.loose_weight
            row[words.colours] = self._config.loose_weight
            row[words.name] = 1
        return weights
