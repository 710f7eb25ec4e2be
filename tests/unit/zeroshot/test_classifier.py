import numpy as np
import pytest

from clipworks.errors import InvalidImageError, SettingsError
from clipworks.zeroshot.classifier import (
    Classification,
    ZeroShotClassifier,
    classify,
    sigmoid,
    softmax,
)
from clipworks.zeroshot.prompts import load_templates
from tests.support.colours import DIM, colour_embedder, save_picture

LABELS = ["red", "green", "blue"]
TEMPLATES = ["a {} photo", "{}", "a picture of a big {}", "{} {}"]


@pytest.fixture
def pictures(tmp_path):
    return [save_picture(tmp_path / f"{colour}.png", colour) for colour in ("blue", "red")]


def naive_weights(embedder, labels, templates):
    weights = []
    for label in labels:
        total = np.zeros(DIM, np.float64)
        for template in templates:
            row = embedder.embed_texts([template.replace("{}", label)])[0].astype(np.float64)
            total += row / np.sqrt((row**2).sum())
        mean = total / len(templates)
        weights.append(mean / np.sqrt((mean**2).sum()))
    return np.array(weights)


def test_weights_are_means_of_unit_prompts_scaled_to_one():
    embedder = colour_embedder()
    classifier = ZeroShotClassifier(embedder, LABELS, TEMPLATES)
    expected = naive_weights(embedder, LABELS, TEMPLATES)
    np.testing.assert_allclose(classifier.weights, expected, atol=1e-6)


def test_softmax_scores_follow_the_formula(pictures):
    embedder = colour_embedder(logit_scale=7.5, logit_bias=0.0)
    scores = ZeroShotClassifier(embedder, LABELS, TEMPLATES).scores(pictures)
    images = embedder.embed_images(pictures).astype(np.float64)
    powers = np.exp(7.5 * images @ naive_weights(embedder, LABELS, TEMPLATES).T)
    np.testing.assert_allclose(scores, powers / powers.sum(axis=1, keepdims=True), atol=1e-6)
    assert scores.dtype == np.float32


def test_sigmoid_scores_follow_the_formula(pictures):
    embedder = colour_embedder(logit_scale=7.5, logit_bias=-3.0, scores="sigmoid")
    scores = ZeroShotClassifier(embedder, LABELS, TEMPLATES).scores(pictures)
    images = embedder.embed_images(pictures).astype(np.float64)
    logits = 7.5 * images @ naive_weights(embedder, LABELS, TEMPLATES).T - 3.0
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits)), atol=1e-6)


def test_pictures_get_their_labels_best_first(pictures):
    found = classify(pictures, LABELS, model=colour_embedder())
    assert [result.label for result in found] == ["blue", "red"]
    for result in found:
        values = list(result.scores.values())
        assert values == sorted(values, reverse=True)
        assert sum(values) == pytest.approx(1)
        assert result.score == values[0]
        assert set(result.scores) == set(LABELS)


def test_the_order_of_labels_changes_no_score(pictures):
    forward, backward = (
        classify(pictures, labels, model=colour_embedder()) for labels in (LABELS, LABELS[::-1])
    )
    for one, other in zip(forward, backward, strict=True):
        assert one.scores == pytest.approx(other.scores)


def test_no_pictures_is_no_error():
    assert classify([], LABELS, model=colour_embedder()) == []


def test_one_label_takes_it_all(pictures):
    assert classify(pictures, ["red"], model=colour_embedder())[0].scores == {"red": 1.0}


def test_by_default_the_simple_templates_are_taken():
    assert ZeroShotClassifier(colour_embedder(), LABELS).templates == load_templates("simple")


def test_labels_lose_the_blanks_around_them():
    assert ZeroShotClassifier(colour_embedder(), [" red", "green\n"]).labels == ("red", "green")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "expected at least one"),
        (["red", "  "], "expected words, got '  '"),
        (["red", None], "expected words, got None"),
        (["red", " red ", "green"], "more than once: 'red'"),
        ("red", "expected a list"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(labels, message):
    with pytest.raises(SettingsError, match=message):
        ZeroShotClassifier(colour_embedder(), labels)


def test_a_picture_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InvalidImageError, match=r"none\.png"):
        classify([tmp_path / "none.png"], LABELS, model=colour_embedder())


def test_a_classification_becomes_json():
    assert Classification({"a": 0.75, "b": 0.25}).to_json() == {
        "label": "a",
        "score": 0.75,
        "scores": {"a": 0.75, "b": 0.25},
    }


def test_large_logits_do_not_overflow():
    logits = np.array([[1e4, -1e4, 0.0]])
    np.testing.assert_array_equal(softmax(logits), [[1, 0, 0]])
    np.testing.assert_array_equal(sigmoid(logits), [[1, 0, 0.5]])
