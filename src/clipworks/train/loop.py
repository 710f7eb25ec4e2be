"""The training loop.

Axes: image (pictures in the batch), text (texts in the batch).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from clipworks.errors import SettingsError
from clipworks.models.clip import Clip
from clipworks.models.config import VisionConfig
from clipworks.train.averaging import WeightAverage
from clipworks.train.batches import AbstractBatches, Batch, TextTargets
from clipworks.train.config import TrainConfig
from clipworks.train.journal import Journal
from clipworks.train.losses.cosine_distance import cosine_distance
from clipworks.train.losses.info_nce import info_nce
from clipworks.train.losses.supervised_contrastive import supervised_contrastive
from clipworks.train.optimizer import make_optimizers, set_learning_rate
from clipworks.train.patches import kept_patches_at
from clipworks.train.precision import fast_attention
from clipworks.train.prefetching import PrefetchedBatches
from clipworks.train.progress import ProgressDisplay
from clipworks.train.schedules import learning_rate_at
from clipworks.train.snapshots import RunState, resume_latest, save_snapshot
from clipworks.train.towers import Features, TowerRunner

Evaluate = Callable[[Clip, int], Mapping[str, float]]
"""Takes the model (the running mean, where there is one) and the steps done; gives metrics."""

_MAX_SCALE = 100.0  # Radford et al., arXiv 2103.00020, section 2.5


class Trainer:
    """Trains a model in a folder, going on from the snapshot that it finds there.

    Args:
        model: with the weights to begin with; trained in place.
        batches: what it sees.
        config: how it is trained.
        folder: gets `journal.jsonl` and `snapshots/`.
        evaluate: called every `config.evaluate_every` steps and after the last one.

    Raises:
        SettingsError: the image tower is a ResNet, whose batch normalisation would see the shares
            of a batch instead of the whole.
    """

    def __init__(
        self,
        model: Clip,
        batches: AbstractBatches,
        config: TrainConfig,
        *,
        folder: Path,
        evaluate: Evaluate | None = None,
    ) -> None:
        if not isinstance(model.config.vision, VisionConfig):
            raise SettingsError("a model with a ResNet image tower cannot be trained yet")
        self._config = config
        self._num_patches = model.config.vision.num_patches
        self._batches = batches
        self._evaluate = evaluate
        self._journal = Journal(folder / "journal.jsonl")
        self._snapshots = folder / "snapshots"
        average = WeightAverage(model, config.average_decay) if config.average_decay else None
        model.visual.requires_grad_(not config.lock_image)
        self._model = model
        self._state = RunState(model, make_optimizers(model, config), average)

    def run(self) -> Clip:
        """Train to the end.

        Returns:
            The model to use: the running mean of the weights where one is kept.

        Raises:
            SettingsError: the folder's snapshot is of other settings.
        """
        if self._config.threads:
            torch.set_num_threads(self._config.threads)
        done = resume_latest(self._snapshots, self._state)
        self._journal.forget_after(done)
        with (
            ProgressDisplay(total=self._config.steps, done=done) as display,
            closing(PrefetchedBatches(self._batches, last=self._config.steps - 1)) as batches,
            closing(
                TowerRunner(self._model, self._config.precision, self._config.workers)
            ) as towers,
        ):
            began = time.perf_counter()
            for step in range(done, self._config.steps):
                entries = self._step(step, batches.batch(step), towers)
                entries["images_per_s"] = self._config.batch_size / (time.perf_counter() - began)
                self._record(step + 1, entries, display)
                began = time.perf_counter()
        return self._best()

    def _step(self, step: int, batch: Batch | TextTargets, towers: TowerRunner) -> dict[str, Any]:
        pictured = isinstance(batch, Batch) and batch.pixels is not None
        assert pictured != self._config.lock_image, "pictures are for a tower that is not locked"
        learning_rate = learning_rate_at(step, self._config)
        set_learning_rate(self._state.optimizers, learning_rate)
        self._model.train()
        self._model.zero_grad(set_to_none=True)
        features = towers.forward(batch, self._kept_patches(step, batch))
        loss = self._loss(features, batch)
        loss.backward()
        towers.backward(features)
        limit = self._config.clip_norm or math.inf
        norm = nn.utils.clip_grad_norm_(self._model.parameters(), limit)
        for optimizer in self._state.optimizers:
            optimizer.step()
        with torch.no_grad():
            self._model.logit_scale.clamp_(max=math.log(_MAX_SCALE))
        if self._state.average:
            self._state.average.update(self._model, step)
        return {"loss": loss.item(), "learning_rate": learning_rate, "gradient_norm": norm.item()}

    def _kept_patches(
        self, step: int, batch: Batch | TextTargets
    ) -> Int[Tensor, "image kept"] | None:
        if isinstance(batch, TextTargets) or batch.pixels is None:
            return None
        return kept_patches_at(
            step,
            self._config,
            num_images=len(batch.pixels),
            num_patches=self._num_patches,
        )

    def _loss(self, features: Features, batch: Batch | TextTargets) -> Float[Tensor, ""]:
        if isinstance(batch, TextTargets):
            return cosine_distance(features.texts, batch.targets)
        assert features.images is not None
        config = self._config
        logits = self._model.logits(features.images, features.texts)  # [image text]
        loss = info_nce(logits, batch.positives, config.label_smoothing)
        if config.image_loss_weight and not config.lock_image:
            between = supervised_contrastive(features.images, batch.groups)
            loss = loss + config.image_loss_weight * between
        return loss

    def _record(self, done: int, entries: dict[str, Any], display: ProgressDisplay) -> None:
        """Write what is due after `done` steps: an evaluation, a journal line, a snapshot."""
        config, last = self._config, done == self._config.steps
        evaluating = config.evaluate_every and (last or done % config.evaluate_every == 0)
        if self._evaluate and evaluating:
            model = self._best().eval()
            with torch.no_grad(), fast_attention(model.logit_scale.device):
                entries |= self._evaluate(model, done)
        if evaluating or last or done % config.log_every == 0:
            self._journal.write(done, entries)
        if last or done % config.snapshot_every == 0:
            save_snapshot(self._snapshots, done, self._state)
        display.show(done, f"loss {entries['loss']:.3f}  {entries['images_per_s']:.0f} images/s")

    def _best(self) -> Clip:
        average = self._state.average
        if average is None:
            return self._model
        assert isinstance(average.model, Clip)
        return average.model
