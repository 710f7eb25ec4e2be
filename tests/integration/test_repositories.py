"""From a repository's files to vectors and scores, beside the library that it was written for."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

import clipworks
from clipworks.cli.classify import classify
from clipworks.cli.convert import convert
from clipworks.inputs import OPENAI_MEAN, OPENAI_STD, TextSpec
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


HALF, CLIP = (0.5, 0.5, 0.5), (OPENAI_MEAN, OPENAI_STD)
SPECS = {
    "hf_siglip": (
        TextSpec(24, "siglip", True, None, 1, 1),
        ("squash", "bicubic", HALF, HALF),
    ),
    "hf_siglip2": (
        TextSpec(24, "none", False, None, 1, 0),
        ("squash", "bilinear", HALF, HALF),
    ),
    "hf_metaclip2": (
        TextSpec(24, "none", False, 0, 2, 1),
        ("shortest", "bicubic", *CLIP),
    ),
    "open_clip_siglip": (
        TextSpec(24, "canonicalize", True, None, 1, 1),
        ("squash", "bicubic", HALF, HALF),
    ),
}


def test_the_card_tells_what_the_library_does(case):
    card = case.embedder.card
    text, image = SPECS[case.name]
    assert card.text == text
    assert (card.image.resize, card.image.interpolation, card.image.mean, card.image.std) == image
    is_siglip = case.name != "hf_metaclip2"
    assert card.scores == ("sigmoid" if is_siglip else "softmax")
    assert card.logit_bias == pytest.approx(-3.7 if is_siglip else 0.0)


def test_texts_have_the_same_tokens(case):
    assert np.array_equal(case.embedder.tokenizer(case.texts), case.expected["tokens"])


def test_pictures_have_the_same_levels(case):
    pixels = np.stack([case.embedder.read_pixels(path) for path in case.pictures])
    spec = case.embedder.card.image
    mean, std = (np.array(each)[:, None, None] for each in (spec.mean, spec.std))
    levels = np.rint((pixels.astype(np.float64) * std + mean) * 255)
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
