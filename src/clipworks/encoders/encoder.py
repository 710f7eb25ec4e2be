"""The one interface between arrays and models.

Axes: image (pictures in a batch), text (texts in a batch), dim (width of the joint space).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from clipworks.arrays import Embeddings, Pixels, Tokens


class AbstractEncoder(ABC):
    """Two towers that map arrays to unit vectors of one joint space.

    An encoder is safe to call from several threads at a time.
    """

    @property
    @abstractmethod
    def backend(self) -> str:
        """The runtime and the device, for people: "onnx (CPU)"."""

    @abstractmethod
    def encode_images(self, pixels: Pixels) -> Embeddings:
        """Map float32 pixels [image 3 h w] to unit rows [image dim].

        Raises:
            InputError: the array has another shape or type than the model takes.
        """

    @abstractmethod
    def encode_texts(self, tokens: Tokens) -> Embeddings:
        """Map int64 tokens [text context] to unit rows [text dim].

        Raises:
            InputError: the array has another shape or type than the model takes.
        """
