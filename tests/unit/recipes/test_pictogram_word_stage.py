"""Where names and descriptions belong, the batches that say so, and the stage as a whole."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from clipworks.arrays import normalize_rows
from clipworks.inputs import TextSpec, special_ids, train_bpe_tokenizer
from clipworks.inputs.text_tokenizer import TextTokenizer
from clipworks.models.checkpoints import save_checkpoint
from clipworks.train.journal import Journal
from recipes.pictograms.descriptions import DescriptionConfig, Descriptions
from recipes.pictograms.evaluate import read_model
from recipes.pictograms.train import write_specs
from recipes.pictograms.train_words import train_words
from recipes.pictograms.word_batches import Sayings, WordBatches, WordConfig
from recipes.pictograms.word_targets import TargetConfig, WordTargets, mean_of_pictures
from tests.support.tiny import tiny_clip, tiny_tokenizer

RELEVANCE = np.array(
    [
        [2.0, 1.0, 0.0, 0.0],  # base 0: mostly concept 0
        [0.0, 1.5, 0.0, 3.0],  # base 1: concept 1, and 3, which is no emoji
        [0.0, 0.0, 0.0, 1.0],  # base 2: only what is no emoji
    ],
    np.float32,
)
IS_EMOJI = np.array([True, True, True, False])
NOTHING_KNOWN = {"titles": [], "keywords": [], "group": "", "subgroup": "", "is_emoji": True}
CONCEPTS = {
    "a": {**NOTHING_KNOWN, "name": "red apple", "keywords": ["sweet", "fruit"]},
    "b": {**NOTHING_KNOWN, "name": "lemon", "keywords": ["sour", "fruit"]},
    "c": {**NOTHING_KNOWN, "name": "paint roller", "keywords": ["wall"], "is_emoji": False},
}


@pytest.fixture(scope="module")
def features() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return tuple(rng.normal(size=(2, 4, 6)).astype(np.float32) + 0.7)


def made(features, **config: float) -> WordTargets:
    return WordTargets(*features, RELEVANCE, IS_EMOJI, TargetConfig(**config))


def test_a_name_stays_where_it_was_but_for_its_pictures(features):
    names, pictures = features
    expected = names / np.linalg.norm(names, axis=1, keepdims=True)
    np.testing.assert_allclose(made(features, picture_weight=0.0).of_names, expected, atol=1e-6)
    towards = pictures / np.linalg.norm(pictures, axis=1, keepdims=True)
    moved = made(features, picture_weight=0.5).of_names
    sums = expected + 0.5 * towards
    np.testing.assert_allclose(moved, sums / np.linalg.norm(sums, axis=1, keepdims=True), atol=1e-6)


def test_a_description_is_a_mixture_of_the_names_that_it_fits(features):
    config = {"picture_weight": 0.0, "temperature": 0.5, "common_weight": 0.3}
    targets = made(features, **config)
    names = targets.of_names.astype(np.float64)
    common = names[:3].mean(axis=0)
    own = names - common
    for numbers, fits in (((0,), {0: 2.0, 1: 1.0}), ((0, 1), {0: 2.0, 1: 2.5}), ((2,), {3: 1.0})):
        shares = {concept: np.exp(score / 0.5) for concept, score in fits.items()}
        mixed = sum(share * own[concept] for concept, share in shares.items())
        length = np.linalg.norm(own, axis=1).mean()
        expected = length * mixed / np.linalg.norm(mixed) + 0.3 * common
        expected /= np.linalg.norm(expected)
        found = targets.of_descriptions([numbers])[0]
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_mean_of_pictures_takes_each_alike():
    features = np.array([[[3, 0], [0, 1], [0, 5]], [[1, 0], [0, 2], [4, 0]]], np.float32)
    found = mean_of_pictures(features, np.array([0, 1, 1]))
    np.testing.assert_allclose(found, normalize_rows(np.array([[2.0, 0.0], [1.0, 3.0]])), atol=1e-6)


def sayings_of(dim: int) -> Sayings:
    rng = np.random.default_rng(1)
    descriptions = Descriptions(
        CONCEPTS, [*CONCEPTS], DescriptionConfig(), bases={}, forms={}, unsaid=frozenset()
    )
    is_emoji = np.array([True, True, False])
    names, pictures = rng.normal(size=(2, 3, dim)).astype(np.float32)
    targets = WordTargets(names, pictures, descriptions.relevance, is_emoji, TargetConfig())
    return Sayings([words["name"] for words in CONCEPTS.values()], is_emoji, descriptions, targets)


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    content = train_bpe_tokenizer(["red apple lemon paint roller sweet sour fruit wall"] * 2, 560)
    start, end = special_ids(content)
    return TextTokenizer(content, TextSpec(context_length=24, start_id=start, end_id=end))


def decoded(batch, tokenizer) -> list[np.ndarray]:
    """The tokens of each text of a batch, up to its end."""
    rows = [row.numpy() for part in batch.parts for row in part]
    return [row[: int((row == tokenizer.spec.end_id).argmax()) + 1] for row in rows]


def test_every_text_comes_with_its_target(tokenizer):
    sayings = sayings_of(6)
    config = WordConfig(description_share=0.5, bare_share=1.0)
    batches = WordBatches(sayings, tokenizer, config, batch_size=40, seed=2)
    one, again = batches.batch(3), batches.batch(3)
    assert len(one.targets) == 40
    assert torch.equal(one.targets, again.targets)
    assert all(map(torch.equal, one.parts, again.parts))
    lengths = [len(row) for row in decoded(one, tokenizer)]
    assert lengths == sorted(lengths)
    assert [part.shape[1] for part in one.parts] == [
        max(lengths[start : start + len(part)])
        for start, part in zip(
            np.cumsum([0, *(len(part) for part in one.parts[:-1])]), one.parts, strict=True
        )
    ]
    name_rows = {name: tuple(tokenizer([name])[0]) for name in sayings.names}
    named = 0
    for row, target in zip(decoded(one, tokenizer), one.targets.numpy(), strict=True):
        for name, tokens in name_rows.items():
            if tokens[: len(row)] == tuple(row):
                own = sayings.targets.of_names[sayings.names.index(name)]
                np.testing.assert_array_equal(target, own)
                named += 1
    assert named == 20  # no description is a name


def test_shares_tell_emoji_from_others(tokenizer):
    sayings = sayings_of(6)
    config = WordConfig(description_share=0.1, emoji_share=1.0, bare_share=1.0)
    batch = WordBatches(sayings, tokenizer, config, batch_size=60, seed=2).batch(0)
    roller = sayings.targets.of_names[2]
    assert not (batch.targets.numpy() == roller).all(axis=1).any()


def test_the_stage_goes_from_a_teacher_to_a_student(tmp_path, monkeypatch):
    data, run = tmp_path / "data", tmp_path / "run"
    write_data(data)
    teacher, tokenizer = tiny_clip(), tiny_tokenizer()
    write_teacher(run / "text", teacher, tokenizer)
    tables = {
        "word_stage": {
            "text": {
                **{"context_length": 12, "vocab_size": 550, "width": 16, "layers": 1},
                **{"heads": 2, "mlp_width": 32, "activation": "gelu", "pooling": "end_token"},
                "end_id": 0,
            },
            "train": {
                **{"steps": 30, "batch_size": 16, "learning_rate": 1e-2, "lock_image": True},
                **{"threads": 1, "log_every": 1, "evaluate_every": 30},
            },
        }
    }
    train_words(tables, data, run)
    student = read_model(run / "words")
    journal = Journal(run / "words/journal.jsonl").read()
    assert journal[-1]["loss"] < 0.5 * journal[0]["loss"]
    assert journal[-1]["all/picture_to_name/r5"] == 100  # there are but two names
    torch.testing.assert_close(
        student.clip.visual.state_dict(), teacher.visual.state_dict(), rtol=0, atol=0
    )
    assert student.clip.config.text.width == 16
    assert student.clip.config.text.vocab_size == student.tokenizer.vocab_size


def write_data(data) -> None:
    rng = np.random.default_rng(3)
    for split, concepts in (("train", "abcab"), ("validation", "ab")):
        (data / split).mkdir(parents=True)
        pictures = rng.integers(0, 256, (len(concepts), 20, 20, 4), np.uint8)
        np.save(data / split / "pictures.npy", pictures)
        rows = [{"concept": concept, "source": "noto"} for concept in concepts]
        pq.write_table(pa.Table.from_pylist(rows), data / split / "pictures.parquet")
    plain = {"is_flag": False, "held_out": False, "family": ""}
    names = [{"concept": key, "name": CONCEPTS[key]["name"], **plain} for key in "ab"]
    tables = {"concepts": CONCEPTS, "bases": {}, "forms": {}, "names": names}
    for name, table in tables.items():
        (data / f"{name}.json").write_text(json.dumps(table))


def write_teacher(folder, model, tokenizer: bytes) -> None:
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_bytes(tokenizer)
    save_checkpoint(model, folder / "weights.safetensors")
    start, end = special_ids(tokenizer)
    write_specs(model.config, TextSpec(context_length=12, start_id=start, end_id=end), folder)
    rng = np.random.default_rng(4)
    np.save(folder / "looks.npy", rng.normal(size=(2, 5, 24)).astype(np.float32))
