"""Who is measured, and on what.

Axes: row (pictures or texts).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from clipworks.bench.timing import Tower
from clipworks.encoders.bundle import Bundle
from clipworks.inputs.decoding import decode_image
from clipworks.inputs.images import ImageTransform
from clipworks.inputs.text_tokenizer import TextTokenizer

OUR_RUN = (sys.executable, "-m", "clipworks.bench.encoder_run")

TEXTS = (
    "a photo of a cat",
    "a diagram",
    "two dogs on a beach in the evening sun",
    "a red bicycle leaning against a white wall",
    "flag of Japan",
    "a close-up photo of a ripe strawberry",
    "a person who reads a newspaper in a crowded underground train on the way to work",
    "aerial view of a harbour",
)
"""Short and long, so that text towers that skip padding have something to gain."""


@dataclass(frozen=True)
class Contender:
    """A model in one backend and one precision, or another library's script.

    Attributes:
        model: its name in the report.
        backend: the runtime's name in the report.
        precision: what it computes in.
        command: runs one measurement; the order is appended as JSON.
        encoder: goes into the order.
    """

    model: str
    backend: str
    precision: str
    command: Sequence[str] = OUR_RUN
    encoder: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """For people: "ViT-B-32/openai onnx fp32"."""
        return f"{self.model} {self.backend} {self.precision}"


def our_contender(bundle: Bundle, backend: str, precision: str | None, device: str) -> Contender:
    """One of our backends on a bundle; no precision means the bundle's own."""
    return Contender(
        model=bundle.card.name,
        backend=backend,
        precision=precision or bundle.card.precision,
        encoder={
            "bundle": str(bundle.folder.resolve()),
            "backend": backend,
            "device": device,
            "precision": precision,
        },
    )


def inputs_of(bundle: Bundle, tower: Tower, pictures: Sequence[Path], count: int) -> np.ndarray:
    """Preprocess as many rows as are wanted, from pictures or sentences that come round again.

    Raises:
        InvalidImageError: a picture cannot be read.
    """
    if tower == "text":
        rows = TextTokenizer(bundle.tokenizer, bundle.card.text)(list(TEXTS))
    else:
        transform = ImageTransform(bundle.card.image)
        rows = np.stack([transform(decode_image(path)) for path in pictures[:count]])
    return rows[np.arange(count) % len(rows)]


def cross(
    bundles: Sequence[Bundle],
    backends: Sequence[str],
    precisions: Sequence[str | None],
    device: str,
) -> Iterator[tuple[Bundle, Contender]]:
    """Every bundle in every backend and precision, each contender once."""
    seen = set()
    for bundle in bundles:
        for backend in backends:
            for precision in precisions:
                contender = our_contender(bundle, backend, precision, device)
                key = (bundle.folder, backend, contender.precision)
                if key not in seen:
                    seen.add(key)
                    yield bundle, contender
