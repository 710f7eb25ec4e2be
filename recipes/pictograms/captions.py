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
    """

    def __init__(self, phrases: Phrases, tokenizer: TextTokenizer) -> None:
        self._phrases = phrases
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
        drawn = [self._phrases.draw(concept, rng) for concept in concepts]
        texts = {text: phrases for phrases, text in drawn}
        pictured = concepts if others is None else np.concatenate([concepts, others])
        weights = self._phrases.weigh(pictured, list(texts.values()))  # [image text]
        return Captions(self._tokens(list(texts)), torch.from_numpy(weights))

    def _tokens(self, texts: list[str]) -> Int[Tensor, "text context"]:
        tokens = np.stack([self._encode(text) for text in texts])  # [text context]
        ends = (tokens == self._end_id).argmax(axis=1)  # [text]
        return torch.from_numpy(tokens[:, : ends.max() + 1])
