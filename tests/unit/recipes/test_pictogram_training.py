"""The recipe's batches and measures: right words, right pictures, the same at every run."""

import numpy as np
import pytest
import torch

from clipworks.errors import SettingsError
from clipworks.inputs import TextSpec, special_ids, train_bpe_tokenizer
from clipworks.inputs.text_tokenizer import TextTokenizer
from clipworks.models.config import TextConfig
from clipworks.train.config import TrainConfig, read_toml, settings_from_table
from recipes.pictograms.augmentation import AugmentationConfig, augment
from recipes.pictograms.captions import CaptionWriter
from recipes.pictograms.feature_batches import FeatureBatches, features_of_looks
from recipes.pictograms.phrases import PhraseConfig, Phrases
from recipes.pictograms.picture_batches import PictureBatches
from recipes.pictograms.retrieval import NameTask
from recipes.pictograms.sampling import Sampler, SamplingConfig, trained_concepts
from recipes.pictograms.splits import Split
from recipes.pictograms.train import DEFAULT_CONFIG
from recipes.pictograms.train_text import TextStageConfig, blended
from tests.support.tiny import tiny_clip

NAMES = {"a": "red apple", "b": "banana", "c": "left arrow", "d": "apple"}
STILL = AugmentationConfig(
    zoom_from=1.0,
    zoom_to=1.0,
    rotation_degrees=0.0,
    shift=0.0,
    coloured_background_share=0.0,
    colour_strength=0.0,
    grey_share=0.0,
    line_share=0.0,
    outline_share=0.0,
    blur_share=0.0,
    flat_share=0.0,
)


def words(name: str) -> dict:
    fruit = "arrow" not in name
    return {
        "name": name,
        "keywords": ["apple", "sweet"] if name == "red apple" else ["thing"],
        "titles": [],
        "group": "food" if fruit else "symbol",
        "subgroup": "fruit" if fruit else "arrow",
        "is_emoji": name != "apple",
        "is_flag": False,
    }


CONCEPTS = {key: words(name) for key, name in NAMES.items()}


@pytest.fixture(scope="module")
def split() -> Split:
    pictures = np.random.default_rng(0).integers(0, 256, (8, 20, 20, 4), np.uint8)
    rows = [{"concept": "abcd"[row % 4], "source": f"style{row // 4}"} for row in range(8)]
    return Split(pictures, rows)


@pytest.fixture(scope="module")
def phrases(split) -> Phrases:
    return Phrases(CONCEPTS, trained_concepts(split), PhraseConfig())


@pytest.fixture(scope="module")
def sampler(split) -> Sampler:
    return Sampler(split, CONCEPTS, SamplingConfig(related_share=0.5, related_size=2))


@pytest.fixture(scope="module")
def writer(phrases) -> CaptionWriter:
    content = train_bpe_tokenizer(phrases.texts * 2, 540)
    start, end = special_ids(content)
    spec = TextSpec(context_length=24, start_id=start, end_id=end)
    return CaptionWriter(phrases, TextTokenizer(content, spec))


@pytest.fixture
def batches(split, sampler, writer) -> PictureBatches:
    return PictureBatches(
        split.pictures, sampler, writer, AugmentationConfig(), batch_size=8, image_size=16, seed=3
    )


def test_weights_tell_names_from_loose_words(phrases):
    column = phrases.weights[:, phrases.texts.index("apple")]
    assert column == pytest.approx([0.2, 0, 0, 1])  # a keyword of one, the name of another
    assert phrases.weights[:, phrases.texts.index("fruit")] == pytest.approx([0.2, 0.2, 0, 0.2])


def test_two_phrases_are_as_right_as_the_less_right_one(phrases):
    number = {text: index for index, text in enumerate(phrases.texts)}
    texts = [(number["red apple"], number["sweet"]), (number["banana"],)]
    found = phrases.weigh(np.array([0, 1, 3]), texts)
    np.testing.assert_allclose(found, [[0.2, 0], [0, 1], [0, 0]])


def test_what_is_drawn_is_right_for_the_concept(phrases):
    rng = np.random.default_rng(1)
    for concept in [0, 1, 2, 3] * 25:
        numbers, text = phrases.draw(concept, rng)
        assert all(phrases.weights[concept, number] > 0 for number in numbers)
        assert all(phrases.texts[number] in text for number in numbers)


def test_a_batch_is_whole_and_depends_on_its_step_alone(batches):
    batch, again = batches.batch(5), batches.batch(5)
    assert batch.pixels.shape == (8, 3, 16, 16)
    assert -1 <= batch.pixels.min() <= batch.pixels.max() <= 1
    assert batch.positives.shape == (8, len(batch.tokens))
    assert (batch.positives > 0).any(dim=0).all()
    assert (batch.positives > 0).any(dim=1).all()
    assert sorted(batch.groups.tolist()) == [0, 0, 1, 1, 2, 2, 3, 3]
    for name in ("pixels", "tokens", "positives", "groups"):
        assert torch.equal(getattr(batch, name), getattr(again, name))
    assert not torch.equal(batches.batch(6).pixels, batch.pixels)


def test_untouched_pictures_lie_on_white():
    pictures = torch.zeros(2, 20, 20, 4, dtype=torch.uint8)
    pictures[:, 5:15, 5:15] = torch.tensor([255, 0, 0, 255], dtype=torch.uint8)
    found = augment(
        pictures,
        torch.zeros(2, dtype=torch.bool),
        20,
        config=STILL,
        generator=torch.Generator().manual_seed(0),
    )
    assert found.shape == (2, 3, 20, 20)
    assert torch.equal(found[:, :, 0, 0], torch.ones(2, 3))
    torch.testing.assert_close(found[0, :, 10, 10], torch.tensor([1.0, 0.0, 0.0]))


def test_only_what_may_be_is_mirrored():
    pictures = torch.zeros(64, 20, 20, 4, dtype=torch.uint8)
    pictures[:, :, :10] = torch.tensor([0, 0, 255, 255], dtype=torch.uint8)
    may_flip = torch.arange(64) < 32
    generator = torch.Generator().manual_seed(0)
    found = augment(pictures, may_flip, 20, config=STILL, generator=generator)
    mirrored = found[:, 0, 10, 2] > 0.5  # the blue half is on the right
    assert mirrored[:32].any()
    assert not mirrored[:32].all()
    assert not mirrored[32:].any()


def test_recall_against_counting():
    rng = np.random.default_rng(2)
    names = rng.normal(size=(6, 4)).astype(np.float32)
    pictures = rng.normal(size=(7, 4)).astype(np.float32)
    right = np.array([0, 1, 2, 3, 4, 5, 5])
    flag = np.array([True, False, False, False, False, True])
    task = NameTask(np.zeros(0), np.zeros(0), right, flag, flag)
    found = task._ranks(pictures, names, asked=~flag, offered=~flag)
    scores = pictures @ names.T
    offered = [1, 2, 3, 4]
    expected_names = [sum(scores[p, n] > scores[p, p] for n in offered) for p in offered]
    expected_pictures = [sum(scores[q, p] > scores[p, p] for q in offered) for p in offered]
    assert found["picture_to_name"].tolist() == expected_names
    assert found["name_to_picture"].tolist() == expected_pictures


def test_metrics_are_percentages_of_a_model():
    pixels = np.random.default_rng(0).normal(size=(4, 3, 16, 16)).astype(np.float32)
    tokens = np.random.default_rng(1).integers(1, 500, (4, 6))
    flag = np.array([True, False, False, False])
    task = NameTask(pixels, tokens, np.arange(4), flag, flag)
    found = task.metrics(tiny_clip())
    assert found["all/picture_to_name/r5"] == 100
    assert found["unseen_among_unseen/name_to_picture/r1"] == 100
    assert all(0 <= value <= 100 for value in found.values())


def test_looks_are_those_of_the_model(split):
    model = tiny_clip().eval()
    found = features_of_looks(model, split.pictures, AugmentationConfig(), looks=2, seed=7)
    pictures = torch.from_numpy(split.pictures)
    still, generator = torch.zeros(8, dtype=torch.bool), torch.Generator().manual_seed(7)
    config = AugmentationConfig()
    pixels = augment(pictures, still, 16, config=config, generator=generator)
    expected = model.encode_image((pixels - 0.5) / 0.5).detach().numpy()
    assert found.shape == (2, *expected.shape)
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-5)
    assert not np.allclose(found[1], found[0], atol=0.01)


def test_features_take_the_place_of_pictures(split, sampler, writer):
    features = np.random.default_rng(0).normal(size=(2, 8, 6)).astype(np.float32)
    batches = FeatureBatches(features, sampler, writer, batch_size=4, distractors=4, seed=3)
    one, again = batches.batch(5), batches.batch(5)
    assert one.pixels is None
    assert one.image_features.shape == (8, 6)
    assert torch.equal(one.image_features, again.image_features)
    assert torch.equal(one.tokens, again.tokens)
    assert one.positives.shape == (8, len(one.tokens))
    assert len(one.tokens) <= 4
    assert (one.positives[:4] > 0).any(dim=1).all()
    for feature, group in zip(one.image_features.numpy(), one.groups, strict=True):
        row = (features == feature).all(axis=2).any(axis=0).argmax()
        assert split.rows[row]["concept"] == "abcd"[group]


def test_weights_lie_between_those_before_and_after():
    before, after = tiny_clip(), tiny_clip()
    with torch.no_grad():
        after.text.projection.weight.add_(1.0)
    found = blended(before, after, 0.25).state_dict()
    shifted = {"text.projection.weight": before.text.projection.weight + 0.25}
    expected = before.state_dict() | shifted
    torch.testing.assert_close(found, expected)


def test_the_shipped_settings_are_those_of_all_stages():
    tables = read_toml(DEFAULT_CONFIG)
    stage = dict(tables["text_stage"])
    assert settings_from_table(TrainConfig, stage.pop("train"), "[text_stage.train]").lock_image
    assert settings_from_table(TextStageConfig, stage, "[text_stage]").blend == 0.5
    assert not settings_from_table(TrainConfig, tables["train"], "[train]").lock_image
    words = tables["word_stage"]
    assert settings_from_table(TrainConfig, words["train"], "[word_stage.train]").lock_image
    sizes = settings_from_table(TextConfig, words["text"], "[word_stage.text]")
    assert sizes.context_length == tables["model"]["text"]["context_length"]
    with pytest.raises(SettingsError, match=r"blend is 2.0: expected in \[0, 1\]"):
        TextStageConfig(blend=2.0)


def test_interface_icons_come_less_often(split):
    pictures = np.zeros((4, 20, 20, 4), np.uint8)
    styles = {"noto": "a", "streamline-color": "a", "marketeq": "d", "openclipart-svg": "e"}
    rows = [{"concept": concept, "source": source} for source, concept in styles.items()]
    others = {"e": {**words("apple"), "is_emoji": False}}
    sampling = SamplingConfig(pictures_per_concept=1, related_share=0.0)
    sampler = Sampler(Split(pictures, rows), {**CONCEPTS, **others}, sampling)
    rng = np.random.default_rng(0)
    drawn = np.bincount([sampler.draw(1, rng)[1][0] for _ in range(4000)], minlength=4) / 4000
    total = 1 + sampling.icon_chance + sampling.other_chance
    expected = np.array([1 / 1.4, 0.4 / 1.4, sampling.icon_chance, sampling.other_chance]) / total
    np.testing.assert_allclose(drawn, expected, atol=0.03)
