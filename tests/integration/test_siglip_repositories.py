"""From a repository's files to vectors and scores, beside the library that it was written for."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

import clipworks
from clipworks.cli.classify import classify
from clipworks.cli.convert import convert
from tests.support.commands import run
from tests.support.repositories import GOLDEN, NAMES, make_repository

PICTURES = GOLDEN.parent / "preprocess"
TOLERANCE = 1e-5  # of a coordinate of a unit vector


@pytest.fixture(scope="module", params=NAMES)
def case(request, tmp_path_factory):
    """A converted repository, what went into it and what should come out."""
    name = request.param
    folder = tmp_path_factory.mktemp(name)
    repository = make_repository(name, folder / "repository")
    report = json.loads(run(convert, repository, "--out", folder / "bundle", "--json").stdout)
    inputs = json.loads((GOLDEN / name / "inputs.json").read_text())
    with np.load(GOLDEN / name / "outputs.npz") as stored:
        expected = dict(stored)
    return SimpleNamespace(
        name=name,
        bundle=folder / "bundle",
        report=report,
        embedder=clipworks.load(folder / "bundle"),
        texts=inputs["texts"],
        pictures=[PICTURES / picture for picture in inputs["pictures"]],
        labels=inputs["labels"],
        expected=expected,
    )


def test_the_card_tells_what_the_library_does(case):
    card = case.embedder.card
    cleaning = {"hf_siglip": "siglip", "hf_siglip2": "none", "open_clip_siglip": "canonicalize"}
    assert card.text.cleaning == cleaning[case.name]
    assert card.text.pad_id == (0 if case.name == "hf_siglip2" else 1)
    assert (card.text.start_id, card.text.end_id) == (None, 1)
    interpolation = "bilinear" if case.name == "hf_siglip2" else "bicubic"
    assert (card.image.resize, card.image.interpolation) == ("squash", interpolation)
    assert (card.image.mean, card.image.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert card.scores == "sigmoid"
    assert card.logit_bias == pytest.approx(-3.7)


def test_texts_have_the_same_tokens(case):
    assert np.array_equal(case.embedder.tokenizer(case.texts), case.expected["tokens"])


def test_pictures_have_the_same_levels(case):
    pixels = np.stack([case.embedder.read_pixels(path) for path in case.pictures])
    levels = np.rint((pixels.astype(np.float64) * 0.5 + 0.5) * 255)
    assert np.array_equal(levels, case.expected["levels"])


def test_texts_and_pictures_have_the_same_vectors(case):
    texts = case.embedder.embed_texts(case.texts)
    images = case.embedder.embed_images(case.pictures)
    assert np.abs(texts - case.expected["texts"]).max() < TOLERANCE
    assert np.abs(images - case.expected["images"]).max() < TOLERANCE


def test_classify_gives_the_same_probabilities(case, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(case.labels))
    arguments = ("--labels-file", labels, "--template", "{}", "--model", case.bundle, "--json")
    found = json.loads(run(classify, *case.pictures, *arguments).stdout)
    scores = [[row["scores"][label] for label in case.labels] for row in found]
    assert np.allclose(scores, case.expected["probabilities"], rtol=1e-4, atol=1e-7)
