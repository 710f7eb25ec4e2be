"""Names and descriptions, with the features that they should have.

Axes: text (texts in the batch), context (tokens).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import final

import numpy as np
import torch
from jaxtyping import Bool, Int64

from clipworks.inputs.text_tokenizer import TextTokenizer
from clipworks.train.batches import AbstractBatches, TextTargets
from recipes.pictograms.descriptions import Descriptions
from recipes.pictograms.word_targets import WordTargets
from recipes.pictograms.wording import SINGLE, framed

PARTS = 6
"""Of a batch, with texts of like length each."""


@dataclass(frozen=True, kw_only=True)
class WordConfig:
    """What is said in a batch. Shares are from 0 to 1.

    Attributes:
        description_share: of the texts; the others are names.
        emoji_share: of the texts, those that are drawn from the emoji alone.
        bare_share: of the names, those without a frame.
    """

    description_share: float = 0.7
    emoji_share: float = 0.7
    bare_share: float = 0.6


@dataclass(frozen=True)
class Sayings:
    """What may be said of the concepts that may be trained on, and where it belongs.

    Attributes:
        names: of the concepts.
        is_emoji: of each.
        descriptions: of the same concepts.
        targets: of names and descriptions.
    """

    names: list[str]
    is_emoji: Bool[np.ndarray, "concept"]
    descriptions: Descriptions
    targets: WordTargets


@final
class WordBatches(AbstractBatches):
    """Draws concepts, and says their names or describes them.

    Args:
        sayings: what may be said.
        tokenizer: the model's.
        config: shares.
        batch_size: texts.
        seed: with the step, the only source of randomness.
    """

    def __init__(
        self,
        sayings: Sayings,
        tokenizer: TextTokenizer,
        config: WordConfig,
        *,
        batch_size: int,
        seed: int,
    ) -> None:
        self._sayings = sayings
        self._are_names = frozenset(name.lower() for name in sayings.names)
        assert tokenizer.spec.end_id is not None
        self._end_id = tokenizer.spec.end_id
        self._encode = lru_cache(maxsize=400_000)(lambda text: tokenizer([text])[0])
        self._config = config
        self._batch_size = batch_size
        self._seed = seed
        every, known = np.arange(len(sayings.names)), sayings.descriptions.known
        self._nameable = (every[sayings.is_emoji], every)
        self._describable = (known[sayings.is_emoji[known]], known)

    def batch(self, step: int) -> TextTargets:
        """The batch of a step."""
        rng = np.random.default_rng([self._seed, step])
        wanted = round(self._config.description_share * self._batch_size)
        described = [self._describe(rng) for _ in range(wanted)]
        named = [self._draw(self._nameable, rng) for _ in range(self._batch_size - wanted)]
        texts = [text for _, text in described] + [self._say(one, rng) for one in named]
        targets = self._sayings.targets
        features = np.concatenate(
            [
                targets.of_descriptions([numbers for numbers, _ in described]),
                targets.of_names[named],
            ]
        )  # [text dim]
        tokens = np.stack([self._encode(text) for text in texts])  # [text context]
        return by_length(tokens, features, self._end_id)

    def _describe(self, rng: np.random.Generator) -> tuple[tuple[int, ...], str]:
        while True:
            concept = self._draw(self._describable, rng)
            numbers, text = self._sayings.descriptions.draw(concept, rng)
            if text.lower() not in self._are_names:  # a name has a target of its own
                return numbers, text

    def _say(self, concept: int, rng: np.random.Generator) -> str:
        name = self._sayings.names[concept]
        return name if rng.random() < self._config.bare_share else framed(SINGLE, rng, name)

    def _draw(
        self,
        among: tuple[Int64[np.ndarray, "emoji"], Int64[np.ndarray, "concept"]],
        rng: np.random.Generator,
    ) -> int:
        emoji, every = among
        return int(rng.choice(emoji if rng.random() < self._config.emoji_share else every))


def by_length(
    tokens: Int64[np.ndarray, "text context"], targets: np.ndarray, end_id: int
) -> TextTargets:
    """Sort texts by length, and cut each part after its longest."""
    lengths = (tokens == end_id).argmax(axis=1) + 1  # [text]
    order = np.argsort(lengths, kind="stable")
    parts = (part for part in np.array_split(order, PARTS) if len(part))
    return TextTargets(
        tuple(torch.from_numpy(tokens[part, : lengths[part].max()]) for part in parts),
        torch.from_numpy(targets[order]),
    )
