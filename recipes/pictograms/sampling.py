"""Which concepts and which pictures make a batch.

Axes: image (pictures in the batch).
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Bool, Int64

from recipes.pictograms.sources import load_sources
from recipes.pictograms.splits import Concepts, Split

NOT_INTERFACE = {"streamline-emojis"}
"""Read like a set of icons, and yet one of emoji."""

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
        icon_chance: of what only sets of interface icons show.
        icon_style_chance: of such a set as the style of a picture, relative to other styles.
        related_share: of the concepts, those that come with others of their kind.
        related_size: concepts of one kind that come together, at most.
    """

    pictures_per_concept: int = 2
    flag_chance: float = 0.6
    other_chance: float = 0.12
    icon_chance: float = 0.04
    icon_style_chance: float = 0.4
    related_share: float = 0.4
    related_size: int = 12


@final
class Sampler:
    """Draws concepts, then pictures of each.

    Args:
        split: what may be trained on.
        concepts: the words.
        sampling: which concepts.

    Attributes:
        may_flip: of each concept: whether a mirrored picture still means the same.
    """

    def __init__(self, split: Split, concepts: Concepts, sampling: SamplingConfig) -> None:
        self._sampling = sampling
        trained = trained_concepts(split)
        icons = interface_sets()
        by_style = _styles_of(split, trained)
        self._drawings = [list(styles.values()) for styles in by_style]
        self._style_chances = [
            np.array([sampling.icon_style_chance if style in icons else 1.0 for style in styles])
            for styles in by_style
        ]
        self._chances = np.array(
            [
                _chance(concepts[name], sampling, only_icons=set(styles) <= icons)
                for name, styles in zip(trained, by_style, strict=True)
            ]
        )
        self._kin = _kin_of(concepts, trained)
        self._kin_of_concept = {one: kin for kin in self._kin for one in kin}
        self.may_flip: Bool[np.ndarray, "concept"] = np.array(
            [_may_flip(concepts[name]) for name in trained]
        )

    def draw(
        self, pictures: int, rng: np.random.Generator
    ) -> tuple[Int64[np.ndarray, "image"], Int64[np.ndarray, "image"]]:
        """The concept and the row of each of so many pictures."""
        concepts = self._draw_concepts(pictures // self._sampling.pictures_per_concept, rng)
        return self._draw_pictures(concepts, rng)

    def _draw_concepts(self, wanted: int, rng: np.random.Generator) -> np.ndarray:
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
        images, rows = [], []
        for concept in chosen:
            styles = self._drawings[concept]
            count = self._sampling.pictures_per_concept
            chances = self._style_chances[concept]
            few = len(styles) < count
            picked = rng.choice(len(styles), count, replace=few, p=chances / chances.sum())
            images += [concept] * count
            rows += [int(rng.choice(styles[style])) for style in picked]
        return np.array(images, np.int64), np.array(rows, np.int64)


def trained_concepts(split: Split) -> list[str]:
    """The concepts of a split, sorted."""
    return sorted({row["concept"] for row in split.rows})


def interface_sets() -> set[str]:
    """The sources whose icons are made for interfaces."""
    return {source.name for source in load_sources() if source.kind == "icons"} - NOT_INTERFACE


def _styles_of(split: Split, trained: list[str]) -> list[dict[str, list[int]]]:
    """Rows by style, for each concept."""
    rows: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, row in enumerate(split.rows):
        rows[row["concept"]][row["source"]].append(index)
    return [dict(rows[name]) for name in trained]


def _chance(words: dict, sampling: SamplingConfig, *, only_icons: bool) -> float:
    if not words["is_emoji"]:
        return sampling.icon_chance if only_icons else sampling.other_chance
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
