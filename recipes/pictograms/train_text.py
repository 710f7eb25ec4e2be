"""Train the text tower on, pictures as they are: python -m recipes.pictograms.train_text --run RUN.

The image tower is locked, and what it gives for each picture is computed once: a step costs a
fraction of one of `train.py`, which must be over. What RUN/text gets lies between the weights
before and after: those after know sentences better, those before the names of other styles.
"""

from __future__ import annotations

import argparse
import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from clipworks.errors import SettingsError
from clipworks.files import atomic_path, write_bytes_atomic
from clipworks.models.checkpoints import load_checkpoint, save_checkpoint
from clipworks.models.clip import Clip
from clipworks.train.config import TrainConfig, read_toml, settings_from_table
from clipworks.train.loop import Trainer
from recipes.pictograms.feature_batches import FeatureBatches, features_of_looks
from recipes.pictograms.sources import DEFAULT_DATA
from recipes.pictograms.train import DEFAULT_CONFIG, Material, evaluator, gather, write_specs

FOLDER = "text"


@dataclass(frozen=True, kw_only=True)
class TextStageConfig:
    """What the stage has besides its `train` and `phrases`.

    Attributes:
        looks: ways in which each picture is made harder.
        distractors: pictures in a batch of which nothing is said; they cost little here.
        blend: the share, 0 to 1, of the weights after the stage in those that are kept.
    """

    looks: int = 2
    distractors: int = 1024
    blend: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.blend <= 1:
            raise SettingsError(f"[text_stage] blend is {self.blend!r}: expected in [0, 1]")


def features_of(run: Path, material: Material, looks: int, settings: TrainConfig) -> np.ndarray:
    """The features of all pictures, [look picture dim], computed when the stage begins."""
    path = run / FOLDER / "looks.npy"
    if not path.exists():
        model = load_checkpoint(run / "weights.safetensors").model.eval()
        torch.set_num_threads(settings.workers)  # nothing else runs; the trainer sets its own
        found = features_of_looks(
            model,
            material.pictures,
            material.augmentation,
            looks=looks,
            seed=settings.seed,
            precision=settings.precision,
        )
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.save(stream, found)
    return np.load(path)


@torch.no_grad()
def blended(before: Clip, after: Clip, share: float) -> Clip:
    """A model between two of the same run (Wortsman et al., arXiv 2109.01903, equation 1)."""
    model = copy.deepcopy(before)
    for weights, new in zip(model.parameters(), after.parameters(), strict=True):
        weights.lerp_(new, share)
    return model


def train_text(tables: dict[str, Any], data: Path, run: Path) -> None:
    """Train, and write a run's files into RUN/text.

    Raises:
        SettingsError: a setting is not allowed, or the image tower is not locked.
    """
    table = dict(tables["text_stage"])
    settings = settings_from_table(TrainConfig, table.pop("train"), "[text_stage.train]")
    phrases = {**tables.get("phrases", {}), **table.pop("phrases", {})}
    stage = settings_from_table(TextStageConfig, table, "[text_stage]")
    if not settings.lock_image:
        raise SettingsError("[text_stage.train] lock_image is false: this stage trains texts only")
    material = gather({**tables, "phrases": phrases}, data, run)
    features = features_of(run, material, stage.looks, settings)
    folder = run / FOLDER
    write_specs(material.sizes, material.tokenizer.spec, folder)
    write_bytes_atomic(folder / "tokenizer.json", (run / "tokenizer.json").read_bytes())
    batches = FeatureBatches(
        features,
        material.sampler,
        material.writer,
        batch_size=settings.batch_size,
        distractors=stage.distractors,
        seed=settings.seed,
    )
    model = load_checkpoint(run / "weights.safetensors").model
    evaluate = evaluator(material.sizes, material.tokenizer, data, folder)
    best = Trainer(model, batches, settings, folder=folder, evaluate=evaluate).run()
    before = load_checkpoint(run / "weights.safetensors").model
    save_checkpoint(blended(before, best, stage.blend), folder / "weights.safetensors")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--run", type=Path, required=True, help="what train.py wrote")
    arguments = parser.parse_args()
    train_text(read_toml(arguments.config), arguments.data, arguments.run)


if __name__ == "__main__":
    main()
