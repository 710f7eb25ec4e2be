"""Where in the joint space names and descriptions belong.

Axes: concept (those that may be trained on), base (forms that stand for all forms of a word), look
(times that each picture is made harder), picture, text (descriptions), dim (of the joint space).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64

from clipworks.arrays import normalize_rows

_FAR_AHEAD = 100.0
"""More than the score of any description."""


@dataclass(frozen=True, kw_only=True)
class TargetConfig:
    """How targets are made.

    Attributes:
        picture_weight: of the mean of a concept's pictures beside its name, which has 1.
        temperature: of the scores, in nats, by which names are mixed.
        common_weight: of what all names have in common, in a description's target; a name has 1.
    """

    picture_weight: float = 0.2
    temperature: float = 0.6
    common_weight: float = 0.5


@final
class WordTargets:
    """Features that texts should have.

    A name's are those that it had, and a little of its pictures'. A description's are a mixture of
    the names that it fits, by the softmax of the relevance of its words, in sum. A mixture is
    shorter than what it is made of, but for what all names have in common: that would decide, and
    bring the pictures which are near to everything. So names are mixed without it.

    Args:
        names: features of each concept's name.
        pictures: the mean of each concept's pictures.
        relevance: of each base for each concept.
        is_emoji: of each concept; others are mixed in only where no emoji fits at all.
        config: how.
    """

    def __init__(
        self,
        names: Float32[np.ndarray, "concept dim"],
        pictures: Float32[np.ndarray, "concept dim"],
        relevance: Float32[np.ndarray, "base concept"],
        is_emoji: Bool[np.ndarray, "concept"],
        config: TargetConfig,
    ) -> None:
        self._config = config
        self._relevance = relevance
        self._handicap = np.where(is_emoji, 0, _FAR_AHEAD).astype(np.float32)  # [concept]
        shown = config.picture_weight * normalize_rows(pictures)  # [concept dim]
        self.of_names = normalize_rows(normalize_rows(names) + shown)
        self._common = self.of_names[is_emoji].mean(axis=0)  # [dim]
        self._own = self.of_names - self._common  # [concept dim]
        self._length = np.linalg.norm(self._own, axis=1).mean()

    def of_descriptions(
        self, descriptions: list[tuple[int, ...]]
    ) -> Float32[np.ndarray, "text dim"]:
        """The targets of descriptions, each given by the numbers of its bases; at least one."""
        rows = [self._relevance[list(numbers)].sum(axis=0) for numbers in descriptions]
        scores = np.stack(rows)  # [text concept]
        scores = np.where(scores > 0, scores - self._handicap, -np.inf)
        logits = torch.from_numpy(scores / self._config.temperature)
        shares = torch.softmax(logits, dim=1).numpy()  # [text concept]
        mixed = self._length * normalize_rows(shares @ self._own)  # [text dim]
        return normalize_rows(mixed + self._config.common_weight * self._common)


def mean_of_pictures(
    features: Float32[np.ndarray, "look picture dim"], concepts: Int64[np.ndarray, "picture"]
) -> Float32[np.ndarray, "concept dim"]:
    """The mean direction of each concept's pictures.

    Args:
        features: of the pictures, in several looks.
        concepts: the number of each picture's, from 0; each has a picture.
    """
    found = np.zeros((int(concepts.max()) + 1, features.shape[2]), np.float32)
    for look in features:
        np.add.at(found, concepts, normalize_rows(look))
    return normalize_rows(found)
