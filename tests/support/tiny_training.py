"""A training run of seconds: a tiny CLIP learns to tell four groups of noise apart.

As a program, `python -m tests.support.tiny_training FOLDER STEPS`, it trains in that folder, for a
test to kill it.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import final

import torch

from clipworks.train.batches import AbstractBatches, Batch, positives_of_groups
from clipworks.train.config import TrainConfig
from clipworks.train.loop import Evaluate, Trainer
from tests.support.tiny import tiny_clip

GROUPS = 4


@final
class NoiseBatches(AbstractBatches):
    """Each group is a fixed picture of noise, with fresh noise over it, and a text of its own."""

    def __init__(self, batch_size: int = 8, pause_s: float = 0.0) -> None:
        generator = torch.Generator().manual_seed(1)
        self._batch_size = batch_size
        self._pause_s = pause_s
        self._pictures = torch.randn(GROUPS, 3, 16, 16, generator=generator)
        self._tokens = torch.randint(1, 500, (GROUPS, 6), generator=generator)

    def batch(self, step: int) -> Batch:
        time.sleep(self._pause_s)
        generator = torch.Generator().manual_seed(step)
        groups = torch.randint(GROUPS, (self._batch_size,), generator=generator)
        noise = torch.randn(self._batch_size, 3, 16, 16, generator=generator)
        return Batch(
            pixels=self._pictures[groups] + 0.5 * noise,
            tokens=self._tokens,
            positives=positives_of_groups(groups, torch.arange(GROUPS)),
            groups=groups,
        )


def tiny_config(steps: int = 12, **changes: object) -> TrainConfig:
    fields = {
        "steps": steps,
        "batch_size": 8,
        "learning_rate": 3e-3,
        "warmup_steps": 2,
        "weight_decay": 0.1,
        "patch_keep": 0.5,
        "full_patch_steps": 2,
        "image_loss_weight": 0.3,
        "average_decay": 0.9,
        "threads": 1,
        "log_every": 1,
        "snapshot_every": 4,
    }
    return TrainConfig(**{**fields, **changes})


def tiny_trainer(
    folder: Path,
    config: TrainConfig,
    *,
    batches: AbstractBatches | None = None,
    evaluate: Evaluate | None = None,
) -> Trainer:
    model = tiny_clip()
    return Trainer(model, batches or NoiseBatches(), config, folder=folder, evaluate=evaluate)


if __name__ == "__main__":
    slow = NoiseBatches(pause_s=0.05)
    tiny_trainer(Path(sys.argv[1]), tiny_config(int(sys.argv[2])), batches=slow).run()
