"""Texts for the pictures of a batch, as tokens.

Axes: image (pictures in the batch), text (distinct texts in the batch), context (tokens).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import final

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor

from clipworks.inputs.text_tokenizer import TextTokenizer
from recipes.pictograms.descriptions import Descriptions
from recipes.pictograms.phrases import Phrases


@dataclass(frozen=True)
class Captions:
    """What is said in a batch.

    Attributes:
        tokens: cut after the longest text's end: what follows changes nothing.
        positives: how right a text is for a picture.
    """

    tokens: Int[Tensor, "text context"]
    positives: Float[Tensor, "image text"]


@final
class CaptionWriter:
    """Says something of each picture, each distinct text once.

    Args:
        phrases: what may be said.
        tokenizer: the model's.
        descriptions: what takes the place of some phrases.
    """

    def __init__(
        self,
        phrases: Phrases,
        tokenizer: TextTokenizer,
        descriptions: Descriptions | None = None,
    ) -> None:
        self._phrases = phrases
        self._descriptions = descriptions
        self._end_id = tokenizer.spec.end_id
        self._encode = lru_cache(maxsize=200_000)(lambda text: tokenizer([text])[0])

    def write(
        self,
        concepts: Int64[np.ndarray, "image"],
        rng: np.random.Generator,
        others: Int64[np.ndarray, "other"] | None = None,
    ) -> Captions:
        """Texts for pictures of some concepts.

        Args:
            concepts: one a picture.
            rng: the only source of randomness.
            others: of further pictures, for which nothing is written; they come after the first
                in `positives`.
        """
        pictured = concepts if others is None else np.concatenate([concepts, others])
        texts: dict[str, None] = {}
        weights = []
        for source, asked in self._shared_out(concepts, rng):
            drawn = {text: numbers for numbers, text in (source.draw(one, rng) for one in asked)}
            new = {text: numbers for text, numbers in drawn.items() if text not in texts}
            if new:
                weights.append(source.weigh(pictured, list(new.values())))  # [image text]
            texts |= dict.fromkeys(new)
        positives = np.concatenate(weights, axis=1)  # [image text]
        return Captions(self._tokens(list(texts)), torch.from_numpy(positives))

    def _shared_out(
        self, concepts: Int64[np.ndarray, "image"], rng: np.random.Generator
    ) -> list[tuple[Phrases | Descriptions, list[int]]]:
        """Which concepts are spoken of by what."""
        every = concepts.tolist()
        if self._descriptions is None:
            return [(self._phrases, every)]
        described = rng.random(len(every)) < self._descriptions.share
        described &= [self._descriptions.knows(concept) for concept in every]
        return [
            (self._phrases, concepts[~described].tolist()),
            (self._descriptions, concepts[described].tolist()),
        ]

    def _tokens(self, texts: list[str]) -> Int[Tensor, "text context"]:
        tokens = np.stack([self._encode(text) for text in texts])  # [text context]
        ends = (tokens == self._end_id).argmax(axis=1)  # [text]
        return torch.from_numpy(tokens[:, : ends.max() + 1])
