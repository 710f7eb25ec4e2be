"""Batches for the text tower alone: the features of drawings, made once, and what may be said.

Axes: look (times that each picture is made harder), picture, image (pictures in the batch), dim (of
the joint space).
"""

from __future__ import annotations

import itertools
from typing import final

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from clipworks.models.clip import Clip
from clipworks.train.batches import AbstractBatches, Batch
from clipworks.train.config import Precision
from clipworks.train.precision import casting
from recipes.pictograms.augmentation import AugmentationConfig, augment
from recipes.pictograms.captions import CaptionWriter
from recipes.pictograms.sampling import Sampler

SEEN_AT_ONCE = 256


@final
class FeatureBatches(AbstractBatches):
    """Draws as `PictureBatches` does, and gives each picture the features of one of its looks.

    Args:
        features: of all pictures that may be trained on.
        sampler: of those pictures.
        writer: of their texts.
        batch_size: pictures for which something is said.
        distractors: further pictures, from which the texts must tell those apart.
        seed: with the step, the only source of randomness.
    """

    def __init__(
        self,
        features: Float32[np.ndarray, "look picture dim"],
        sampler: Sampler,
        writer: CaptionWriter,
        *,
        batch_size: int,
        distractors: int,
        seed: int,
    ) -> None:
        self._batch_size = batch_size
        self._distractors = distractors
        self._features = features
        self._sampler = sampler
        self._writer = writer
        self._seed = seed

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        rng = np.random.default_rng([self._seed, step])
        concepts, rows = self._sampler.draw(self._batch_size, rng)
        others, other_rows = self._sampler.draw(self._distractors, rng)
        captions = self._writer.write(concepts, rng, others)
        rows = np.concatenate([rows, other_rows])
        looks = rng.integers(len(self._features), size=len(rows))
        return Batch(
            pixels=None,
            tokens=captions.tokens,
            positives=captions.positives,
            groups=torch.from_numpy(np.concatenate([concepts, others])),
            image_features=torch.from_numpy(self._features[looks, rows]),
        )


@torch.no_grad()
def features_of_looks(
    model: Clip,
    pictures: UInt8[np.ndarray, "picture h w 4"],
    config: AugmentationConfig,
    *,
    looks: int,
    seed: int,
    precision: Precision = "fp32",
) -> Float32[np.ndarray, "look picture dim"]:
    """What a model gives for each picture, made harder in several ways; none is mirrored.

    Args:
        model: in whose image tower nothing is left to chance.
        pictures: with straight alpha.
        config: how hard.
        looks: how many ways.
        seed: of the ways.
        precision: of the tower.
    """
    size = model.config.vision.image_size
    found = np.empty((looks, len(pictures), model.config.embed_dim), np.float32)
    parts = [slice(start, start + SEEN_AT_ONCE) for start in range(0, len(pictures), SEEN_AT_ONCE)]
    for look, part in itertools.product(range(looks), parts):
        generator = torch.Generator().manual_seed(seed + look * len(pictures) + part.start)
        drawn = torch.from_numpy(np.array(pictures[part]))
        as_drawn = torch.zeros(len(drawn), dtype=torch.bool)
        pixels = augment(drawn, as_drawn, size, config=config, generator=generator)
        with casting(precision, pixels.device):
            features = model.encode_image(pixels.sub_(0.5).div_(0.5))  # [image dim]
        found[look, part] = features.float().numpy()
    return found
