"""A bundle against the model that it was made of, on the same pictures and texts.

Axes: image, text (rows), label, dim (width of the joint space).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clipworks.arrays import Embeddings
from clipworks.encoders.bundle import CARD_FILE, Verification
from clipworks.encoders.embedder import Embedder
from clipworks.errors import SettingsError
from clipworks.export.limits import Limits, limits_of
from clipworks.export.parity import (
    CosineSummary,
    neighbour_overlap,
    row_cosines,
    summarise_cosines,
    top1_accuracy,
    top1_agreement,
)
from clipworks.export.probe_inputs import ProbeInputs
from clipworks.zeroshot.classifier import ZeroShotClassifier

Watcher = Callable[[str, int, int], None]
"""Is told what is being done, how much of it is done, and how much there is."""

_BATCH = 16
_TIMED_RUNS = 3


@dataclass(frozen=True)
class VerificationReport:
    """How well a model agrees with its reference.

    Attributes:
        name: of the model.
        precision: of its stored weights.
        against: the reference's name.
        against_fingerprint: the reference's.
        num_pictures: compared.
        num_texts: compared.
        images: cosines of the pictures.
        texts: cosines of the texts.
        agreement: share of pictures with the same best label.
        overlap: share of each picture's ten nearest others.
        accuracy: share of pictures with the right label, where it is known.
        reference_accuracy: the same of the reference.
        size_bytes: of the bundle's files; 0 where it is not on disk.
        reference_size_bytes: of the reference's.
        speed_ratio: pictures a second over the reference's, image tower alone, on this machine.
    """

    name: str
    precision: str
    against: str
    against_fingerprint: str
    num_pictures: int
    num_texts: int
    images: CosineSummary
    texts: CosineSummary
    agreement: float
    overlap: float
    accuracy: float | None
    reference_accuracy: float | None
    size_bytes: int
    reference_size_bytes: int
    speed_ratio: float

    @property
    def limits(self) -> Limits:
        """What is asked of the model's precision."""
        return limits_of(self.precision)

    def failures(self) -> list[str]:
        """What falls short of the limits, in words; empty where all is well."""
        limits, one_picture = self.limits, 1 / self.num_pictures
        # (what, found, asked); of shares one picture's may always be missed, so that a handful
        # of pictures is judged as mildly as many.
        rows = [
            ("pictures: lowest cosine", self.images.lowest, limits.lowest_cosine),
            ("pictures: mean cosine", self.images.mean, limits.mean_cosine),
            ("texts: lowest cosine", self.texts.lowest, limits.lowest_cosine),
            ("texts: mean cosine", self.texts.mean, limits.mean_cosine),
            ("same best label", self.agreement, min(limits.agreement, 1 - one_picture)),
            ("same ten neighbours", self.overlap, limits.overlap),
        ]
        if self.accuracy is not None and self.reference_accuracy is not None:
            allowed = max(limits.accuracy_loss, one_picture)
            rows.append(("accuracy", self.accuracy, self.reference_accuracy - allowed))
        return [
            f"{what} {found:.6g}, expected at least {asked:.6g}"
            for what, found, asked in rows
            if not found >= asked - 1e-9
        ]

    def record(self) -> Verification:
        """What a bundle remembers of it."""
        return Verification(
            against=self.against,
            fingerprint=self.against_fingerprint,
            pictures=self.num_pictures,
            texts=self.num_texts,
            lowest_image_cosine=self.images.lowest,
            mean_image_cosine=self.images.mean,
            lowest_text_cosine=self.texts.lowest,
            mean_text_cosine=self.texts.mean,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        failures = self.failures()
        return {
            **asdict(self),
            "limits": asdict(self.limits),
            "passed": not failures,
            "failures": failures,
        }


@dataclass(frozen=True)
class _Rows:
    images: Embeddings
    texts: Embeddings
    classifier: ZeroShotClassifier


def verify_embedder(
    embedder: Embedder,
    reference: Embedder,
    inputs: ProbeInputs,
    *,
    folders: tuple[Path, Path] | None = None,
    watch: Watcher | None = None,
) -> VerificationReport:
    """Compare two models on the same pictures and texts.

    Args:
        embedder: the model in question.
        reference: what it should agree with.
        inputs: to compare on.
        folders: of the two bundles, for their sizes.
        watch: is told how far it is.

    Raises:
        SettingsError: the models have joint spaces of different width, or the labels are wrong.
        InvalidImageError: names the first picture that cannot be read.
    """
    _check_widths(embedder, reference)
    tell = watch or (lambda stage, done, total: None)
    ours = _embed(embedder, inputs, lambda d, n: tell("this model", d, n))
    theirs = _embed(reference, inputs, lambda d, n: tell("reference", d, n))
    scores = [one.classifier.scores_of(one.images) for one in (ours, theirs)]
    truth = inputs.truth
    sizes = [_size_of(folder) for folder in folders] if folders else [0, 0]
    return VerificationReport(
        name=embedder.card.name,
        precision=embedder.card.precision,
        against=reference.card.name,
        against_fingerprint=reference.fingerprint,
        num_pictures=len(inputs.pictures),
        num_texts=len(inputs.texts),
        images=summarise_cosines(row_cosines(ours.images, theirs.images)),
        texts=summarise_cosines(row_cosines(ours.texts, theirs.texts)),
        agreement=top1_agreement(*scores),
        overlap=neighbour_overlap(ours.images, theirs.images),
        accuracy=None if truth is None else top1_accuracy(scores[0], truth),
        reference_accuracy=None if truth is None else top1_accuracy(scores[1], truth),
        size_bytes=sizes[0],
        reference_size_bytes=sizes[1],
        speed_ratio=_speed_ratio(embedder, reference),
    )


def _check_widths(embedder: Embedder, reference: Embedder) -> None:
    if embedder.embedding_dim != reference.embedding_dim:
        raise SettingsError(
            f"{embedder.card.name} has embeddings of {embedder.embedding_dim} numbers, "
            f"{reference.card.name} of {reference.embedding_dim}: they are different models"
        )


def _embed(embedder: Embedder, inputs: ProbeInputs, tell: Callable[[int, int], None]) -> _Rows:
    pictures, texts = list(inputs.pictures), list(inputs.texts)
    parts, total = [], len(pictures)
    for begin in range(0, total, _BATCH):
        part = pictures[begin : begin + _BATCH]
        parts.append(embedder.embed_images(part, batch_size=_BATCH))
        tell(sum(map(len, parts)), total)
    return _Rows(
        images=np.concatenate(parts),
        texts=embedder.embed_texts(texts, batch_size=_BATCH),
        classifier=ZeroShotClassifier(embedder, inputs.labels),
    )


def _speed_ratio(embedder: Embedder, reference: Embedder) -> float:
    """Pictures a second over the reference's: the best of a few turns each, taken in turn."""
    random = np.random.default_rng(0)
    best = [float("inf"), float("inf")]
    pixels = [
        random.normal(size=(_BATCH, 3, one.card.image.height, one.card.image.width))
        for one in (embedder, reference)
    ]
    for _ in range(_TIMED_RUNS):
        for which, one in enumerate((embedder, reference)):
            begin = time.perf_counter()
            one.encoder.encode_images(pixels[which].astype(np.float32))
            best[which] = min(best[which], time.perf_counter() - begin)
    return best[1] / best[0]


def _size_of(folder: Path) -> int:
    """What the bundle's own files take; its card, which changes, is left out."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != CARD_FILE)
    return sum(path.stat().st_size for path in files)
