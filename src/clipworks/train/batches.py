"""What the loop trains on.

Axes: image (pictures in the batch), text (texts in the batch), h and w (pixels), context (token
positions; may be shorter than the model's where no text of the batch is longer).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Pictures, texts, and what belongs together.

    Attributes:
        pixels: normalised; or None, where the image tower is locked.
        tokens: of the texts; there need not be as many as pictures.
        positives: how much a text is right for a picture, 0 for not at all. Most are 0 or 1.
        groups: pictures with the same number show the same thing.
        image_features: what a locked image tower gave for the pictures, in place of `pixels`.
    """

    pixels: Float[Tensor, "image 3 h w"] | None
    tokens: Int[Tensor, "text context"]
    positives: Float[Tensor, "image text"]
    groups: Int[Tensor, "image"]
    image_features: Float[Tensor, "image dim"] | None = None

    def __post_init__(self) -> None:
        assert (self.pixels is None) != (self.image_features is None)


@dataclass(frozen=True)
class TextTargets:
    """Texts alone, and the features that they are to get: those of a teacher, for instance.

    Attributes:
        parts: tokens of the texts; those of one part are best of like length, and cut after the
            longest one's end.
        targets: of the texts of all parts, in order; need not be normalised.
    """

    parts: tuple[Int[Tensor, "part context"], ...]
    targets: Float[Tensor, "text dim"]

    def __post_init__(self) -> None:
        assert sum(map(len, self.parts)) == len(self.targets)


class AbstractBatches(ABC):
    """A source of batches that has no state: what comes at a step depends on the step alone.

    That is what makes a resumed run the same as an undisturbed one, bit for bit.
    """

    @abstractmethod
    def batch(self, step: int) -> Batch | TextTargets:
        """The batch of a step, counted from 0. The same step gives the same batch, always."""


def positives_of_groups(
    image_groups: Int[Tensor, "image"], text_groups: Int[Tensor, "text"]
) -> Float[Tensor, "image text"]:
    """One where picture and text have the same group number, else zero."""
    return (image_groups[:, None] == text_groups[None, :]).float()
