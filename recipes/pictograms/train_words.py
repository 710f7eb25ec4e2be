"""Teach a larger text tower what words have to do with concepts: after `train_text`, from nothing.

    python -m recipes.pictograms.train_words --run RUN

The text tower that comes out of the pictures' training knows names well and descriptions badly: it
met few. Here a new one, with more words of its own, learns by heart where names and descriptions
belong (`word_targets.py`). No pictures are needed for that, and a step tells it of hundreds of
texts. RUN/words gets it, with the image tower as it was.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from clipworks.files import write_bytes_atomic
from clipworks.inputs.bpe_training import train_bpe_tokenizer
from clipworks.inputs.text_tokenizer import TextTokenizer
from clipworks.models.checkpoints import save_checkpoint
from clipworks.models.clip import Clip
from clipworks.models.config import TextConfig
from clipworks.train.config import TrainConfig, read_toml, settings_from_table
from clipworks.train.loop import Trainer
from recipes.pictograms.descriptions import DescriptionConfig, Descriptions
from recipes.pictograms.evaluate import TrainedModel, read_model
from recipes.pictograms.retrieval import embed_tokens
from recipes.pictograms.sampling import trained_concepts
from recipes.pictograms.sources import DEFAULT_DATA
from recipes.pictograms.splits import read_bases, read_concepts, read_forms, read_split
from recipes.pictograms.train import (
    DEFAULT_CONFIG,
    evaluator,
    questions_of_tests,
    read_tokenizer,
    sized_for,
    write_specs,
)
from recipes.pictograms.word_batches import Sayings, WordBatches, WordConfig
from recipes.pictograms.word_targets import TargetConfig, WordTargets, mean_of_pictures

FOLDER = "words"
TEACHER = "text"
TIMES_DESCRIBED, TIMES_NAMED = 12, 4
"""How often each concept stands in the texts from which the tokenizer is learnt."""


def gather_sayings(
    tables: dict[str, Any], data: Path, teacher: TrainedModel, looks: np.ndarray
) -> Sayings:
    """Read the words, and find where they belong by a teacher's names and its looks of pictures."""
    split, concepts = read_split(data, "train"), read_concepts(data)
    trained = trained_concepts(split)
    descriptions = Descriptions(
        concepts,
        trained,
        settings_from_table(
            DescriptionConfig, tables.get("descriptions", {}), "[word_stage.descriptions]"
        ),
        bases=read_bases(data),
        forms=read_forms(data),
        unsaid=questions_of_tests(),
    )
    names = [concepts[concept]["name"] for concept in trained]
    is_emoji = np.array([concepts[concept]["is_emoji"] for concept in trained])
    number = {concept: row for row, concept in enumerate(trained)}
    shown = np.array([number[row["concept"]] for row in split.rows])  # [picture]
    targets = WordTargets(
        embed_tokens(teacher.clip, teacher.tokenizer(names)),
        mean_of_pictures(looks, shown),
        descriptions.relevance,
        is_emoji,
        settings_from_table(TargetConfig, tables.get("targets", {}), "[word_stage.targets]"),
    )
    return Sayings(names, is_emoji, descriptions, targets)


def make_tokenizer(folder: Path, sayings: Sayings, sizes: TextConfig) -> TextTokenizer:
    """Return the stage's tokenizer, learnt from names and descriptions when the stage begins."""
    path = folder / "tokenizer.json"
    if not path.exists():
        rng = np.random.default_rng(0)
        texts = sayings.names * TIMES_NAMED
        for concept in sayings.descriptions.known:
            drawn = (sayings.descriptions.draw(concept, rng) for _ in range(TIMES_DESCRIBED))
            texts += [text for _, text in drawn]
        write_bytes_atomic(path, train_bpe_tokenizer(texts, sizes.vocab_size))
    return read_tokenizer(path, sizes)


def new_student(teacher: Clip, tokenizer: TextTokenizer, sizes: TextConfig, seed: int) -> Clip:
    """Return a model with the teacher's image tower and scale, and a text tower from nothing."""
    model = Clip(sized_for(tokenizer, replace(teacher.config, text=sizes)))
    model.init_weights(torch.Generator().manual_seed(seed))
    model.visual.load_state_dict(teacher.visual.state_dict())
    with torch.no_grad():
        model.logit_scale.copy_(teacher.logit_scale)
    return model


def train_words(tables: dict[str, Any], data: Path, run: Path) -> None:
    """Train, and write a run's files into RUN/words.

    Raises:
        SettingsError: a setting is not allowed.
    """
    stage = tables["word_stage"]
    settings = settings_from_table(TrainConfig, stage["train"], "[word_stage.train]")
    words = settings_from_table(WordConfig, stage.get("words", {}), "[word_stage.words]")
    sizes = settings_from_table(TextConfig, stage["text"], "[word_stage.text]")
    folder = run / FOLDER
    if settings.threads:
        torch.set_num_threads(settings.threads)
    teacher = read_model(run / TEACHER)
    sayings = gather_sayings(stage, data, teacher, np.load(run / TEACHER / "looks.npy"))
    tokenizer = make_tokenizer(folder, sayings, sizes)
    student = new_student(teacher.clip, tokenizer, sizes, settings.seed)
    write_specs(student.config, tokenizer.spec, folder)
    batches = WordBatches(
        sayings, tokenizer, words, batch_size=settings.batch_size, seed=settings.seed
    )
    evaluate = evaluator(student.config, tokenizer, data, folder)
    best = Trainer(student, batches, settings, folder=folder, evaluate=evaluate).run()
    save_checkpoint(best, folder / "weights.safetensors")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--run", type=Path, required=True, help="what train_text.py wrote to")
    arguments = parser.parse_args()
    train_words(read_toml(arguments.config), arguments.data, arguments.run)


if __name__ == "__main__":
    main()
