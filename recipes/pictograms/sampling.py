"""Batches of drawings and what may be said of them.

Axes: image (pictures in the batch), text (distinct texts in the batch), context (tokens).
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from clipworks.inputs.text_tokenizer import TextTokenizer
from clipworks.train.batches import AbstractBatches, Batch
from recipes.pictograms.augmentation import AugmentationConfig, augment
from recipes.pictograms.phrases import Phrases
from recipes.pictograms.splits import Concepts, Split

_ONE_WAY_GROUPS = {"flag", "symbol", "sign", "sound"}
_ONE_WAY_SUBGROUPS = {"clock or timer", "pointing finger", "hand sign", "computer equipment"}
_ONE_WAY_WORDS = re.compile(r"\b(left|right|clockwise|reverse|east|west|back|next|last|tilted)")


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """Which concepts make a batch.

    Attributes:
        pictures_per_concept: in different styles where there are as many.
        flag_chance: of a flag, relative to another emoji's.
        other_chance: of what is no emoji, relative to an emoji's.
        related_share: of the concepts, those that come with others of their kind.
        related_size: concepts of one kind that come together, at most.
    """

    pictures_per_concept: int = 2
    flag_chance: float = 0.6
    other_chance: float = 0.15
    related_share: float = 0.4
    related_size: int = 12


class PictogramBatches(AbstractBatches):
    """Draws concepts, then pictures of each, then a text for each picture.

    Args:
        split: what may be trained on.
        concepts: the words.
        phrases: of `trained_concepts(split)`, in that order.
        tokenizer: the model's.
        batch_size: pictures.
        image_size: pixels.
        seed: with the step, the only source of randomness.
        sampling: which concepts.
        augmentation: how hard the pictures are made.
    """

    def __init__(
        self,
        split: Split,
        concepts: Concepts,
        phrases: Phrases,
        tokenizer: TextTokenizer,
        *,
        batch_size: int,
        image_size: int,
        seed: int,
        sampling: SamplingConfig,
        augmentation: AugmentationConfig,
    ) -> None:
        self._pictures = torch.from_numpy(np.array(split.pictures))
        self._phrases = phrases
        self._batch_size = batch_size
        self._image_size = image_size
        self._seed = seed
        self._sampling = sampling
        self._augmentation = augmentation
        trained = trained_concepts(split)
        self._drawings = _drawings_of(split, trained)
        self._chances = np.array([_chance(concepts[name], sampling) for name in trained])
        self._may_flip = np.array([_may_flip(concepts[name]) for name in trained])
        self._kin = _kin_of(concepts, trained)
        self._kin_of_concept = {one: kin for kin in self._kin for one in kin}
        self._end_id = tokenizer.spec.end_id
        self._encode = lru_cache(maxsize=200_000)(lambda text: tokenizer([text])[0])

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        rng = np.random.default_rng([self._seed, step])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        chosen = self._draw_concepts(rng)  # [image / pictures_per_concept]
        images, rows = self._draw_pictures(chosen, rng)
        drawn = [self._phrases.draw(concept, rng) for concept in images]
        texts = {text: phrases for phrases, text in drawn}  # each distinct text once
        weights = self._phrases.weigh(images, list(texts.values()))  # [image text]
        pixels = augment(
            self._pictures[torch.from_numpy(rows)],
            torch.from_numpy(self._may_flip[images]),
            self._image_size,
            config=self._augmentation,
            generator=generator,
        )
        return Batch(
            pixels=pixels.sub_(0.5).div_(0.5),
            tokens=self._tokens(list(texts)),
            positives=torch.from_numpy(weights),
            groups=torch.from_numpy(images),
        )

    def _draw_concepts(self, rng: np.random.Generator) -> np.ndarray:
        wanted = self._batch_size // self._sampling.pictures_per_concept
        chosen: dict[int, None] = {}
        while len(chosen) < self._sampling.related_share * wanted:
            seed = int(rng.choice(len(self._chances), p=self._chances / self._chances.sum()))
            kin = self._kin_of_concept[seed]
            size = min(len(kin), self._sampling.related_size)
            chosen |= dict.fromkeys(int(one) for one in rng.choice(kin, size, replace=False))
        chances = self._chances.copy()
        chances[list(chosen)] = 0
        rest = rng.choice(
            len(chances), wanted - len(chosen), replace=False, p=chances / chances.sum()
        )
        return np.array([*chosen, *rest], np.int64)

    def _draw_pictures(
        self, chosen: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The concept and the row of each picture of the batch."""
        images, rows = [], []
        for concept in chosen:
            styles = self._drawings[concept]
            count = self._sampling.pictures_per_concept
            picked = rng.choice(len(styles), count, replace=len(styles) < count)
            images += [concept] * count
            rows += [int(rng.choice(styles[style])) for style in picked]
        return np.array(images, np.int64), np.array(rows, np.int64)

    def _tokens(self, texts: list[str]) -> Int[Tensor, "text context"]:
        """Tokens, cut after the longest text's end: what follows changes nothing."""
        tokens = np.stack([self._encode(text) for text in texts])  # [text context]
        ends = (tokens == self._end_id).argmax(axis=1)  # [text]
        return torch.from_numpy(tokens[:, : ends.max() + 1])


def trained_concepts(split: Split) -> list[str]:
    """The concepts of a split, sorted."""
    return sorted({row["concept"] for row in split.rows})


def _drawings_of(split: Split, trained: list[str]) -> list[list[list[int]]]:
    """Rows by concept, then by style."""
    rows: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, row in enumerate(split.rows):
        rows[row["concept"]][row["source"]].append(index)
    return [list(rows[name].values()) for name in trained]


def _chance(words: dict, sampling: SamplingConfig) -> float:
    if not words["is_emoji"]:
        return sampling.other_chance
    return sampling.flag_chance if words["is_flag"] else 1.0


def _may_flip(words: dict) -> bool:
    return not (
        words["group"] in _ONE_WAY_GROUPS
        or words["subgroup"] in _ONE_WAY_SUBGROUPS
        or _ONE_WAY_WORDS.search(words["name"])
    )


def _kin_of(concepts: Concepts, trained: list[str]) -> list[np.ndarray]:
    """Concepts by kind; what has no kind is its own kin."""
    kinds: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(trained):
        kinds[concepts[name]["subgroup"] or name].append(index)
    return [np.array(members, np.int64) for members in kinds.values()]
