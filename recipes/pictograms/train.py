"""Train the pictograms model from scratch: python -m recipes.pictograms.train --run FOLDER."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from clipworks.files import write_bytes_atomic, write_json_atomic
from clipworks.inputs.bpe_tokenizer_file import special_ids
from clipworks.inputs.bpe_training import train_bpe_tokenizer
from clipworks.inputs.specs import TextSpec
from clipworks.inputs.text_tokenizer import TextTokenizer
from clipworks.models.checkpoints import save_checkpoint
from clipworks.models.clip import Clip
from clipworks.models.config import ClipConfig, TextConfig
from clipworks.train.config import TrainConfig, model_from_table, read_toml, settings_from_table
from clipworks.train.loop import Evaluate, Trainer
from recipes.pictograms.augmentation import AugmentationConfig
from recipes.pictograms.captions import CaptionWriter
from recipes.pictograms.phrases import PhraseConfig, Phrases
from recipes.pictograms.picture_batches import PictureBatches
from recipes.pictograms.retrieval import name_task
from recipes.pictograms.sampling import Sampler, SamplingConfig, trained_concepts
from recipes.pictograms.sources import DEFAULT_DATA
from recipes.pictograms.splits import (
    image_spec,
    read_concepts,
    read_forms,
    read_names,
    read_split,
)

QUERIES = Path(__file__).with_name("queries.json")
DEVELOPMENT_QUERIES = Path(__file__).with_name("development_queries.json")
DEFAULT_CONFIG = Path(__file__).with_name("config.toml")


def questions_of_tests() -> frozenset[str]:
    """The free queries, which frames and keywords might make up by chance."""
    files = (QUERIES, DEVELOPMENT_QUERIES)
    return frozenset(query for file in files for query in json.loads(file.read_text("utf-8")))


def make_tokenizer(run: Path, phrases: Phrases, sizes: TextConfig) -> TextTokenizer:
    """Return the run's tokenizer, learnt from the phrases when the run begins.

    Each phrase is given twice, so that no word is too rare.
    """
    path = run / "tokenizer.json"
    if not path.exists():
        texts = [*phrases.texts, *phrases.texts]
        write_bytes_atomic(path, train_bpe_tokenizer(texts, sizes.vocab_size))
    return read_tokenizer(path, sizes)


def read_tokenizer(path: Path, sizes: TextConfig) -> TextTokenizer:
    """Return a tokenizer that was learnt for a text tower of such sizes."""
    content = path.read_bytes()
    start_id, end_id = special_ids(content)
    spec = TextSpec(context_length=sizes.context_length, start_id=start_id, end_id=end_id)
    return TextTokenizer(content, spec)


def sized_for(tokenizer: TextTokenizer, config: ClipConfig) -> ClipConfig:
    """Return the model's sizes with the vocabulary that was really learnt."""
    spec = tokenizer.spec
    text = replace(
        config.text, vocab_size=tokenizer.vocab_size, end_id=spec.end_id, pad_id=spec.pad_id
    )
    return replace(config, text=text)


@dataclass(frozen=True)
class Material:
    """What both stages of training need.

    Attributes:
        pictures: with straight alpha.
        sizes: of the model.
        sampler: of concepts and pictures.
        writer: of texts.
        tokenizer: the run's.
        augmentation: how hard pictures are made.
    """

    pictures: np.ndarray
    sizes: ClipConfig
    sampler: Sampler
    writer: CaptionWriter
    tokenizer: TextTokenizer
    augmentation: AugmentationConfig


def gather(tables: dict[str, Any], data: Path, run: Path) -> Material:
    """Read the data, and learn the tokenizer when the run begins."""
    split, concepts = read_split(data, "train"), read_concepts(data)
    wording = settings_from_table(PhraseConfig, tables.get("phrases", {}), "[phrases]")
    phrases = Phrases(
        concepts,
        trained_concepts(split),
        wording,
        forms=read_forms(data),
        unsaid=questions_of_tests(),
    )
    sizes = model_from_table(tables["model"])
    tokenizer = make_tokenizer(run, phrases, sizes.text)
    sampling = settings_from_table(SamplingConfig, tables.get("sampling", {}), "[sampling]")
    augmentation = tables.get("augmentation", {})
    return Material(
        pictures=split.pictures,
        sizes=sized_for(tokenizer, sizes),
        sampler=Sampler(split, concepts, sampling),
        writer=CaptionWriter(phrases, tokenizer),
        tokenizer=tokenizer,
        augmentation=settings_from_table(AugmentationConfig, augmentation, "[augmentation]"),
    )


def write_specs(sizes: ClipConfig, text: TextSpec, run: Path) -> None:
    """Write `model.json`: what `evaluate` and `pack` must know."""
    specs = {
        "image": image_spec(sizes.vision.image_size).to_json(),
        "text": text.to_json(),
        "model": sizes.to_json(),
    }
    write_json_atomic(run / "model.json", specs)


def evaluator(sizes: ClipConfig, tokenizer: TextTokenizer, data: Path, run: Path) -> Evaluate:
    """What the trainer calls: it stores the weights, and finds names for the validation style."""
    size = sizes.vision.image_size
    task = name_task(read_split(data, "validation"), read_names(data), tokenizer, size)

    def evaluate(model: Clip, step: int) -> dict[str, float]:
        save_checkpoint(model, run / "weights.safetensors")
        return task.metrics(model)

    return evaluate


def train(tables: dict[str, Any], data: Path, run: Path) -> None:
    """Train, and write `weights.safetensors`, `tokenizer.json` and `model.json` into `run`."""
    settings = settings_from_table(TrainConfig, tables["train"], "[train]")
    if settings.threads:
        torch.set_num_threads(settings.threads)
    material = gather(tables, data, run)
    write_specs(material.sizes, material.tokenizer.spec, run)
    batches = PictureBatches(
        material.pictures,
        material.sampler,
        material.writer,
        material.augmentation,
        batch_size=settings.batch_size,
        image_size=material.sizes.vision.image_size,
        seed=settings.seed,
    )
    model = Clip(material.sizes)
    model.init_weights(torch.Generator().manual_seed(settings.seed))
    evaluate = evaluator(material.sizes, material.tokenizer, data, run)
    best = Trainer(model, batches, settings, folder=run, evaluate=evaluate).run()
    save_checkpoint(best, run / "weights.safetensors")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--run", type=Path, required=True, help="gets the model and the journal")
    arguments = parser.parse_args()
    train(read_toml(arguments.config), arguments.data, arguments.run)


if __name__ == "__main__":
    main()
