"""Batches of drawings and what may be said of them, for both towers.

Axes: image (pictures in the batch), h and w (pixels), 4 (red, green, blue, alpha).
"""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from jaxtyping import UInt8

from clipworks.train.batches import AbstractBatches, Batch
from recipes.pictograms.augmentation import AugmentationConfig, augment
from recipes.pictograms.captions import CaptionWriter
from recipes.pictograms.sampling import Sampler


@final
class PictureBatches(AbstractBatches):
    """Draws concepts, then pictures of each, then a text for each picture.

    Args:
        pictures: all that may be trained on, with straight alpha.
        sampler: of those pictures.
        writer: of their texts.
        augmentation: how hard the pictures are made.
        batch_size: pictures.
        image_size: pixels.
        seed: with the step, the only source of randomness.
    """

    def __init__(
        self,
        pictures: UInt8[np.ndarray, "picture h w 4"],
        sampler: Sampler,
        writer: CaptionWriter,
        augmentation: AugmentationConfig,
        *,
        batch_size: int,
        image_size: int,
        seed: int,
    ) -> None:
        self._pictures = torch.from_numpy(np.array(pictures))
        self._sampler = sampler
        self._writer = writer
        self._augmentation = augmentation
        self._batch_size = batch_size
        self._image_size = image_size
        self._seed = seed

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        rng = np.random.default_rng([self._seed, step])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        concepts, rows = self._sampler.draw(self._batch_size, rng)
        captions = self._writer.write(concepts, rng)
        pixels = augment(
            self._pictures[torch.from_numpy(rows)],
            torch.from_numpy(self._sampler.may_flip[concepts]),
            self._image_size,
            config=self._augmentation,
            generator=generator,
        )
        return Batch(
            pixels=pixels.sub_(0.5).div_(0.5),
            tokens=captions.tokens,
            positives=captions.positives,
            groups=torch.from_numpy(concepts),
        )
