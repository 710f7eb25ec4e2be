"""An encoder of whose vectors only the first numbers are kept.

Axes: image, text (rows of a batch), dim (what is kept of the joint space).
"""

from __future__ import annotations

from typing import final

from clipworks.arrays import Embeddings, Pixels, Tokens
from clipworks.data.stored_rows import shorten_rows
from clipworks.encoders.encoder import AbstractEncoder


@final
class ShortenedEncoder(AbstractEncoder):
    """Cuts another encoder's rows short, and brings them to unit length again.

    Args:
        inner: gives the rows.
        dim: how many numbers of each are kept.
    """

    def __init__(self, inner: AbstractEncoder, dim: int) -> None:
        self._inner = inner
        self._dim = dim

    @property
    def backend(self) -> str:
        """The inner encoder's."""
        return self._inner.backend

    def encode_images(self, pixels: Pixels) -> Embeddings:
        """Map float32 pixels [image 3 h w] to unit rows [image dim]."""
        return shorten_rows(self._inner.encode_images(pixels), self._dim)

    def encode_texts(self, tokens: Tokens) -> Embeddings:
        """Map int64 tokens [text context] to unit rows [text dim]."""
        return shorten_rows(self._inner.encode_texts(tokens), self._dim)
