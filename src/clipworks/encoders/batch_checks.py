"""Whether pixels and tokens are what a model takes: the same words from every backend.

Axes: image, text (rows of a batch), h and w (pixels), context (token positions).
"""

from __future__ import annotations

import numpy as np

from clipworks.arrays import Embeddings, Pixels, Tokens
from clipworks.encoders.bundle import BundleCard
from clipworks.errors import InputError


def check_pixels(pixels: Pixels, card: BundleCard) -> None:
    """Refuse what is not float32 [image 3 h w] of the model's size.

    Raises:
        InputError: with the shape that is expected.
    """
    spec = card.image
    expected = (3, spec.height, spec.width)
    if pixels.ndim != 4 or pixels.shape[1:] != expected or pixels.dtype != np.float32:
        raise InputError(
            f"pixels: expected float32 [image, 3, {spec.height}, {spec.width}], "
            f"got {pixels.dtype} {list(pixels.shape)}"
        )


def check_tokens(tokens: Tokens, card: BundleCard, *, vocab_size: int | None = None) -> None:
    """Refuse what is not int64 [text context] of the model's context.

    Args:
        tokens: a batch.
        card: of the model.
        vocab_size: rows of the token table, for runtimes that do not look themselves.

    Raises:
        InputError: with the shape that is expected, or with the ids that are no tokens.
    """
    context = card.text.context_length
    if tokens.ndim != 2 or tokens.shape[1] != context or tokens.dtype != np.int64:
        raise InputError(
            f"tokens: expected int64 [text, {context}], got {tokens.dtype} {list(tokens.shape)}"
        )
    if vocab_size and tokens.size and (tokens.min() < 0 or tokens.max() >= vocab_size):
        raise foreign_tokens(tokens)


def foreign_tokens(tokens: Tokens) -> InputError:
    """What to raise for ids that the model's table of tokens does not have."""
    return InputError(
        f"tokens: an id lies outside the model's vocabulary (they go from {tokens.min()} "
        f"to {tokens.max()})"
    )


def no_rows(card: BundleCard) -> Embeddings:
    """The embeddings of an empty batch."""
    return np.zeros((0, card.embedding_dim), np.float32)
