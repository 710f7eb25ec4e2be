"""Sentences around phrases."""

import json

import numpy as np

from recipes.pictograms.phrases import PhraseConfig, Phrases
from recipes.pictograms.train import DEVELOPMENT_QUERIES, QUERIES, questions_of_tests
from recipes.pictograms.wording import (
    OPEN,
    PAIRS,
    WordForms,
    among_fillers,
    content_words,
    framed,
    part_of_gloss,
)

LEMON = {
    "name": "lemon",
    "keywords": ["sour"],
    "titles": [],
    "group": "food",
    "subgroup": "fruit",
    "glosses": ["yellow oval fruit with juicy acidic flesh"],
    "kinds": ["citrus"],
    "colours": ["yellow"],
}
"""Of one concept everything can be said, and all of it is right."""


def said(config: PhraseConfig, times: int = 300, **others: object) -> list[str]:
    phrases = Phrases({"lemon": LEMON}, ["lemon"], config, **others)
    rng = np.random.default_rng(0)
    drawn = [phrases.draw(0, rng) for _ in range(times)]
    weights = phrases.weigh(np.array([0]), [numbers for numbers, _ in drawn])
    assert (weights > 0).all()
    return [text for _, text in drawn]


def test_an_article_fits_what_follows():
    assert framed(["a {} with a {}"], np.random.default_rng(0), "apple", "pear") == (
        "an apple with a pear"
    )


def test_frames_take_as_many_phrases_as_they_are_given():
    assert {frame.count("{}") for frame in OPEN} == {1}
    assert {frame.count("{}") for frame in PAIRS} == {2}


def test_phrases_stay_whole_among_fillers():
    text = among_fillers(["hot pepper", "red"], np.random.default_rng(3))
    assert "hot pepper" in text
    assert "red" in text


def test_a_part_of_a_definition_is_words_that_follow_each_other():
    gloss, rng = LEMON["glosses"][0], np.random.default_rng(0)
    parts = {part_of_gloss(gloss, rng) for _ in range(50)}
    assert len(parts) > 5
    assert all(part in gloss for part in parts)
    assert part_of_gloss("a tree", rng) == "a tree"


def test_words_take_other_forms_but_not_the_words_between():
    forms = WordForms({"foot": ["feet"], "is": ["was"]}, share=1.0)
    assert forms.vary("a foot is left", np.random.default_rng(0)) == "a feet is left"


def test_content_words():
    assert content_words("The fruit of a tree, or a tree") == ["fruit", "tree"]


def test_everything_is_said():
    texts = said(PhraseConfig())
    assert "lemon" in texts
    for word in ("sour", "citrus", "yellow", "juicy", "fruit"):
        assert any(word in text for text in texts), word


def test_only_what_has_a_share_is_said():
    config = PhraseConfig(name_share=1.0, kind_share=0, gloss_share=0, several_share=0)
    assert all("lemon" in text for text in said(config))
    config = PhraseConfig(name_share=0, kind_share=0, gloss_share=1.0, several_share=0)
    assert all(text in LEMON["glosses"][0] for text in said(config))


def questions_of_tests_of_tests_are_never_said():
    config = PhraseConfig(several_share=1.0, colour_share=1.0)
    assert "a yellow fruit" in said(config)
    assert "a yellow fruit" not in said(config, unsaid=frozenset({"a yellow fruit"}))


def test_development_and_questions_of_tests_are_others():
    test = set(json.loads(QUERIES.read_text(encoding="utf-8")))
    development = set(json.loads(DEVELOPMENT_QUERIES.read_text(encoding="utf-8")))
    assert not test & development
    assert questions_of_tests() == test | development
