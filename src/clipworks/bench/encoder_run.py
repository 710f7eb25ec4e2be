"""The process in which one of our own encoders is measured.

`python -m clipworks.bench.encoder_run ORDER`: the order is JSON; see `clipworks.bench.timing`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from clipworks.bench.timing import Encode, RunOrder, answer_order
from clipworks.encoders.loading import load
from clipworks.errors import ClipworksError


def open_encoder(order: RunOrder) -> tuple[str, Encode]:
    """Load a bundle in the backend and precision that the order names."""
    given = order.encoder
    embedder = load(
        Path(given["bundle"]),
        backend=given["backend"],
        device=given["device"],
        num_threads=order.num_threads,
    )
    image, encoder = embedder.card.image, embedder.encoder
    if order.tower == "image":
        encoder.encode_images(np.zeros((0, 3, image.height, image.width), np.float32))
        return encoder.backend, encoder.encode_images
    encoder.encode_texts(np.zeros((0, embedder.card.text.context_length), np.int64))
    return encoder.backend, encoder.encode_texts


if __name__ == "__main__":
    try:
        answer_order(open_encoder)
    except ClipworksError as error:
        sys.exit(str(error))
