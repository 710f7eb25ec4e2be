"""Pictures and texts to embeddings: an encoder with its image transform and tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from clipworks.arrays import Embeddings, Pixels
from clipworks.data.partitions import split_batches
from clipworks.data.stored_rows import check_width
from clipworks.encoders.batch_sizes import ON_CPU
from clipworks.encoders.bundle import BundleCard
from clipworks.encoders.encoder import AbstractEncoder
from clipworks.encoders.shortened_encoder import ShortenedEncoder
from clipworks.inputs.decoding import decode_image
from clipworks.inputs.images import ImageTransform
from clipworks.inputs.text_tokenizer import TextTokenizer

if TYPE_CHECKING:
    from PIL.Image import Image

    ImageLike = Path | str | bytes | Image

T = TypeVar("T")


class Embedder:
    """A model that takes pictures and words.

    Args:
        encoder: the two towers.
        card: what the model is and what it expects.
        tokenizer: of the text tower.
        num_workers: threads that decode and resize pictures (Pillow lets go of the lock).
        batch_size: pictures in one forward pass where nobody says.
    """

    def __init__(
        self,
        encoder: AbstractEncoder,
        card: BundleCard,
        tokenizer: TextTokenizer,
        *,
        num_workers: int = 2,
        batch_size: int = ON_CPU,
    ) -> None:
        self.encoder = encoder
        self.card = card
        self.tokenizer = tokenizer
        self.transform = ImageTransform(card.image)
        self.batch_size = batch_size
        self._num_workers = num_workers

    @property
    def embedding_dim(self) -> int:
        """Width of the joint space."""
        return self.card.embedding_dim

    @property
    def fingerprint(self) -> str:
        """Names what decides the numbers; see `clipworks.encoders.bundle`."""
        return self.card.fingerprint

    def shortened(self, dim: int) -> Embedder:
        """The same model, of whose vectors the first `dim` numbers are kept; 0 for all.

        Only models that were trained for it keep their quality (see `stored_rows.shorten_rows`).

        Raises:
            SettingsError: the model gives fewer.
        """
        width = check_width("fp16", dim, self.embedding_dim)
        if width == self.embedding_dim:
            return self
        card = replace(self.card, embedding_dim=width)
        encoder = ShortenedEncoder(self.encoder, width)
        return Embedder(
            encoder,
            card,
            self.tokenizer,
            num_workers=self._num_workers,
            batch_size=self.batch_size,
        )

    def warm_up(self) -> None:
        """Run the picture tower on one blank, so that the first picture need not wait for it.

        Raises:
            BundleError: the tower cannot be loaded.
        """
        spec = self.card.image
        self.encoder.encode_images(np.zeros((1, 3, spec.height, spec.width), np.float32))

    def embed_images(self, images: Sequence[ImageLike], *, batch_size: int = 0) -> Embeddings:
        """Embed pictures: paths, encoded bytes or Pillow images.

        Args:
            images: to embed.
            batch_size: pictures in one forward pass; 0 for the embedder's own.

        Returns:
            Unit rows [image dim], in the order given.

        Raises:
            InvalidImageError: names the first picture that cannot be read.
        """
        sources = _as_sequence(images, "embed_images")
        with ThreadPoolExecutor(self._num_workers) as threads:
            pixels = threads.map(self.read_pixels, sources)
            parts = [
                self.encoder.encode_images(np.stack(batch))
                for batch in split_batches(pixels, batch_size or self.batch_size)
            ]
        return self._concatenate(parts)

    def embed_texts(self, texts: Sequence[str], *, batch_size: int = 256) -> Embeddings:
        """Embed texts; what is longer than the context is cut, the end token kept.

        Returns:
            Unit rows [text dim], in the order given.

        Raises:
            InvalidTextError: something in the list is not a text.
        """
        texts = _as_sequence(texts, "embed_texts")
        parts = [
            self.encoder.encode_texts(self.tokenizer(batch))
            for batch in split_batches(texts, batch_size)
        ]
        return self._concatenate(parts)

    def read_pixels(self, source: ImageLike) -> Pixels:
        """One picture, decoded and transformed, as [3 h w].

        Raises:
            InvalidImageError: the picture cannot be read.
        """
        return self.transform(decode_image(source))

    def _concatenate(self, parts: list[Embeddings]) -> Embeddings:
        if not parts:
            return np.zeros((0, self.embedding_dim), np.float32)
        return np.concatenate(parts)


def _as_sequence(given: Sequence[T], function: str) -> Sequence[T]:
    # A lone path or text is a sequence of characters to Python: surely not what was meant.
    if isinstance(given, str | bytes | Path) or not isinstance(given, Sequence):
        raise TypeError(f"{function} takes a list, not {type(given).__name__}: write [x]")
    return given
