"""What may be said of a concept, and which concepts a phrase is right for."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from recipes.pictograms.splits import Concepts

_WORDING = json.loads(Path(__file__).with_name("wording.json").read_text(encoding="utf-8"))
SINGLE, PAIRS = _WORDING["single"], _WORDING["pairs"]
FILLERS = _WORDING["fillers"]
"""Words that may stand between phrases and change nothing."""

MEDIA = {"bitmap", "drawing", "clip art", "png", "svg", "icon", "icons"}
"""Keywords of clip art that say how it was made, not what it shows."""


@dataclass(frozen=True, kw_only=True)
class PhraseConfig:
    """Shares of the texts of a batch, and weights of what is right for a picture.

    Attributes:
        name_share: the concept's own name; the rest is keywords, titles and kinds.
        kind_share: its kind: "a fruit".
        several_share: two or three of its phrases in one text: "a fruit that is yellow".
        kind_lead_share: of those, the ones that say its kind.
        sentence_share: of those, the ones with fillers between the phrases.
        bare_share: without a template.
        loose_weight: of keywords, titles and kinds as positives, where a name has 1.
    """

    name_share: float = 0.5
    kind_share: float = 0.07
    several_share: float = 0.35
    kind_lead_share: float = 0.35
    sentence_share: float = 0.5
    bare_share: float = 0.65
    loose_weight: float = 0.2


class Phrases:
    """The phrases of the concepts that may be trained on.

    Attributes:
        texts: all phrases.
        weights: how right a phrase is for a concept; 0 where it is not.
    """

    def __init__(self, concepts: Concepts, trained: list[str], config: PhraseConfig) -> None:
        self._config = config
        self._index: dict[str, int] = {}
        self._names: list[int] = []
        self._loose: list[Int64[np.ndarray, "n"]] = []
        self._kinds: list[Int64[np.ndarray, "n"]] = []
        for concept in trained:
            words = concepts[concept]
            self._names.append(self._number(words["name"]))
            loose = dict.fromkeys([*words["titles"], *words["keywords"]])
            loose = [word for word in loose if word not in MEDIA]
            self._loose.append(np.array([self._number(word) for word in loose], np.int64))
            kinds = dict.fromkeys(kind for kind in (words["group"], words["subgroup"]) if kind)
            self._kinds.append(np.array([self._number(kind) for kind in kinds], np.int64))
        self.texts = list(self._index)
        self.weights = self._weigh()
        spread = (self.weights > 0).sum(axis=0)  # [phrase]: concepts that a phrase is right for
        self._rarity = 1 / np.sqrt(np.maximum(spread, 1))

    def draw(self, concept: int, rng: np.random.Generator) -> tuple[tuple[int, ...], str]:
        """Choose what to say of a concept.

        Returns:
            The numbers of the phrases, and the text in which they stand.
        """
        if rng.random() < self._config.several_share:
            return self._draw_several(concept, rng)
        phrase = self._draw_phrase(concept, rng)
        if rng.random() < self._config.bare_share:
            return (phrase,), self.texts[phrase]
        template = SINGLE[rng.integers(len(SINGLE))]
        return (phrase,), _filled(template, self.texts[phrase])

    def weigh(
        self, concepts: Int64[np.ndarray, "image"], texts: list[tuple[int, ...]]
    ) -> Float32[np.ndarray, "image text"]:
        """How right texts are for concepts: of a text's phrases the least right one counts."""
        phrases = np.concatenate([np.array(numbers) for numbers in texts])
        starts = np.cumsum([0, *(len(numbers) for numbers in texts[:-1])])
        return np.minimum.reduceat(self.weights[np.ix_(concepts, phrases)], starts, axis=1)

    def _draw_several(self, concept: int, rng: np.random.Generator) -> tuple[tuple[int, ...], str]:
        by_kind = rng.random() < self._config.kind_lead_share and len(self._kinds[concept])
        first = rng.choice(self._kinds[concept]) if by_kind else self._draw_phrase(concept, rng)
        numbers = (int(first), self._draw_loose(concept, rng))
        if rng.random() >= self._config.sentence_share:
            template = PAIRS[rng.integers(len(PAIRS))]
            return numbers, _filled(template, *(self.texts[number] for number in numbers))
        if rng.random() < 0.5:
            numbers = (*numbers, self._draw_loose(concept, rng))
        parts: list[str] = []
        for number in rng.permutation(numbers):
            parts += rng.choice(FILLERS, rng.integers(3)).tolist()
            parts.append(self.texts[number])
        return numbers, " ".join(parts)

    def _draw_phrase(self, concept: int, rng: np.random.Generator) -> int:
        lot = rng.random()
        if lot < self._config.kind_share and len(self._kinds[concept]):
            return int(rng.choice(self._kinds[concept]))
        if lot < 1 - self._config.name_share:
            return self._draw_loose(concept, rng)
        return self._names[concept]

    def _draw_loose(self, concept: int, rng: np.random.Generator) -> int:
        loose = self._loose[concept]
        if not len(loose):
            return self._names[concept]
        chances = self._rarity[loose]
        return int(rng.choice(loose, p=chances / chances.sum()))

    def _number(self, phrase: str) -> int:
        return self._index.setdefault(phrase, len(self._index))

    def _weigh(self) -> Float32[np.ndarray, "concept phrase"]:
        weights = np.zeros((len(self._names), len(self._index)), np.float32)
        for concept, name in enumerate(self._names):
            weights[concept, self._loose[concept]] = self._config.loose_weight
            weights[concept, self._kinds[concept]] = self._config.loose_weight
            weights[concept, name] = 1
        return weights


def _filled(template: str, *phrases: str) -> str:
    return re.sub(r"\ba (?=[aeiou])", "an ", template.format(*phrases))
