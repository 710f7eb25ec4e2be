"""Train the text tower on, pictures as they are: python -m recipes.pictograms.train_text --run RUN.

The image tower is locked, and what it gives for each picture is computed once: a step costs a
fraction of one of `train.py`, which must be over. What RUN/text gets lies between the weights
before and after: those after know sentences better, those before the names of other styles.

The same again with `--run RUN/text --stage description_stage` describes concepts by a few words of
all that is known of them, and tells how well each description fits every concept.
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

STAGES = {"text_stage": "text", "description_stage": "descriptions"}
"""The tables of the settings that hold a stage, and the folder that it writes to."""


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
            raise SettingsError(f"blend is {self.blend!r}: expected in [0, 1]")


def features_of(
    weights: Path, path: Path, material: Material, looks: int, settings: TrainConfig
) -> np.ndarray:
    """The features of all pictures, [look picture dim], computed when the stage begins."""
    if not path.exists():
        model = load_checkpoint(weights).model.eval()
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


def train_text(tables: dict[str, Any], data: Path, run: Path, name: str = "text_stage") -> None:
    """Train, and write a run's files into the stage's folder in RUN.

    Args:
        tables: the settings.
        data: what `prepare` wrote.
        run: with the weights to begin with.
        name: of the stage; one of `STAGES`.

    Raises:
        SettingsError: a setting is not allowed, or the image tower is not locked.
    """
    table = dict(tables[name])
    settings = settings_from_table(TrainConfig, table.pop("train"), f"[{name}.train]")
    said = {
        kind: {**tables.get(kind, {}), **table.pop(kind, {})}
        for kind in ("phrases", "descriptions")
    }
    stage = settings_from_table(TextStageConfig, table, f"[{name}]")
    if not settings.lock_image:
        raise SettingsError(f"[{name}.train] lock_image is false: this stage trains texts only")
    material = gather({**tables, **said}, data, run)
    folder = run / STAGES[name]
    weights = run / "weights.safetensors"
    features = features_of(weights, folder / "looks.npy", material, stage.looks, settings)
    write_specs(material, folder)
    write_bytes_atomic(folder / "tokenizer.json", (run / "tokenizer.json").read_bytes())
    batches = FeatureBatches(
        features,
        material.sampler,
        material.writer,
        batch_size=settings.batch_size,
        distractors=stage.distractors,
        seed=settings.seed,
    )
    model = load_checkpoint(weights).model
    evaluate = evaluator(material, data, folder)
    best = Trainer(model, batches, settings, folder=folder, evaluate=evaluate).run()
    before = load_checkpoint(weights).model
    save_checkpoint(blended(before, best, stage.blend), folder / "weights.safetensors")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--run", type=Path, required=True, help="with the weights to begin with")
    parser.add_argument("--stage", choices=STAGES, default="text_stage")
    arguments = parser.parse_args()
    train_text(read_toml(arguments.config), arguments.data, arguments.run, arguments.stage)


if __name__ == "__main__":
    main()
