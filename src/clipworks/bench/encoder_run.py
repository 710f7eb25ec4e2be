"""The process in which one of our own encoders is measured.

`python -m clipworks.bench.encoder_run ORDER`: the order is JSON; see `clipworks.bench.timing`.
"""

from __future__ import annotations

import sys
from pathlib import Path

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
        precision=given["precision"],
        num_threads=order.num_threads,
    )
    encoder = embedder.encoder
    if order.tower == "image":
        embedder.warm_up()
        return encoder.backend, encoder.encode_images
    embedder.embed_texts(["a text"])
    return encoder.backend, encoder.encode_texts


if __name__ == "__main__":
    try:
        answer_order(open_encoder)
    except ClipworksError as error:
        sys.exit(str(error))
