"""Zero-shot classification: pictures against labels in words.

Axes: image, label, template, dim (width of the joint space).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from jaxtyping import Float32

from clipworks.arrays import Embeddings, normalize_rows
from clipworks.encoders.embedder import Embedder
from clipworks.encoders.loading import DEFAULT_MODEL, load
from clipworks.errors import SettingsError
from clipworks.zeroshot.prompts import check_templates, fill_templates, load_templates

if TYPE_CHECKING:
    from clipworks.encoders.embedder import ImageLike

LabelWeights = Float32[np.ndarray, "label dim"]
Scores = Float32[np.ndarray, "image label"]


@dataclass(frozen=True)
class Classification:
    """What a picture was found to be.

    Attributes:
        scores: label to score in 0..1, best first. Softmax scores add up to 1; sigmoid scores
            each stand for themselves.
    """

    scores: dict[str, float]

    @property
    def label(self) -> str:
        """The best label."""
        return next(iter(self.scores))

    @property
    def score(self) -> float:
        """The best label's score."""
        return self.scores[self.label]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"label": self.label, "score": self.score, "scores": self.scores}


@final
class ZeroShotClassifier:
    """Labels in words, embedded once, against any number of pictures.

    A label's weight is the mean of the unit embeddings of its prompts, scaled to unit length
    again (Radford et al. 2021, arXiv:2103.00020, section 3.1.4).

    Args:
        embedder: the model.
        labels: what a picture may be; at least one, no two alike.
        templates: sentences with `{}` for the label; by default the set `simple`.

    Raises:
        SettingsError: labels or templates that cannot be used.
    """

    def __init__(
        self, embedder: Embedder, labels: Sequence[str], templates: Sequence[str] | None = None
    ) -> None:
        self.labels = check_labels(labels)
        self.templates = load_templates() if templates is None else check_templates(templates)
        self.weights = _label_weights(embedder, self.labels, self.templates)
        self._embedder = embedder

    def classify(self, images: Sequence[ImageLike]) -> list[Classification]:
        """Score each picture and sort its labels, best first.

        Raises:
            InvalidImageError: names the first picture that cannot be read.
        """
        return [self._classification(row) for row in self.scores(images)]

    def scores(self, images: Sequence[ImageLike]) -> Scores:
        """Score pictures against the labels, in the order of `labels`.

        Raises:
            InvalidImageError: names the first picture that cannot be read.
        """
        return self.scores_of(self._embedder.embed_images(images))

    def scores_of(self, embeddings: Embeddings) -> Scores:
        """Score pictures that are embedded already: unit rows of this same model."""
        card = self._embedder.card
        cosines = embeddings.astype(np.float64) @ self.weights.T.astype(np.float64)
        logits = card.logit_scale * cosines + card.logit_bias
        squash = softmax if card.scores == "softmax" else sigmoid
        return squash(logits).astype(np.float32)

    def _classification(self, row: Float32[np.ndarray, "label"]) -> Classification:
        order = np.argsort(-row, kind="stable")
        return Classification({self.labels[i]: float(row[i]) for i in order})


def classify(
    images: Sequence[ImageLike],
    labels: Sequence[str],
    *,
    templates: Sequence[str] | None = None,
    model: str | Path | Embedder = DEFAULT_MODEL,
) -> list[Classification]:
    """Say what pictures show, in your own words.

    Args:
        images: paths, encoded bytes or Pillow images.
        labels: what a picture may be.
        templates: sentences with `{}` for the label; by default the set `simple`.
        model: a name, a bundle's folder, or an embedder that is loaded already.

    Returns:
        One classification a picture, in the order given.

    Raises:
        SettingsError: labels or templates that cannot be used.
        InvalidImageError: names the first picture that cannot be read.
        UnknownModelError: no such model.
    """
    embedder = model if isinstance(model, Embedder) else load(model)
    return ZeroShotClassifier(embedder, labels, templates).classify(images)


def check_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels without the blanks around them.

    Raises:
        SettingsError: there are none, one is blank or no text, or two are alike.
    """
    if isinstance(labels, str):
        raise SettingsError(f"labels: expected a list, got the text {labels!r}: write [x]")
    for label in labels:
        if not isinstance(label, str) or not label.strip():
            raise SettingsError(f"labels: expected words, got {label!r}")
    stripped = tuple(label.strip() for label in labels)
    if not stripped:
        raise SettingsError("labels: expected at least one, got none")
    repeated = [label for label, times in Counter(stripped).items() if times > 1]
    if repeated:
        raise SettingsError(f"labels: given more than once: {', '.join(map(repr, repeated))}")
    return stripped


def softmax(logits: np.ndarray) -> np.ndarray:
    """Turn logits [image label] into shares of 1 along the labels."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Turn logits into probabilities, each for itself; exact at both ends."""
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1.0, small) / (1.0 + small)


def _label_weights(
    embedder: Embedder, labels: tuple[str, ...], templates: tuple[str, ...]
) -> LabelWeights:
    prompts = [prompt for label in labels for prompt in fill_templates(templates, label)]
    rows = embedder.embed_texts(prompts)  # [label * template, dim]
    by_label = rows.reshape(len(labels), len(templates), -1)  # [label template dim]
    return normalize_rows(by_label.mean(axis=1))  # [label dim]
