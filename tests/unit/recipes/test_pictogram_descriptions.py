"""Descriptions by a few words, and what words have to do with concepts."""

import numpy as np
import pytest

from clipworks.errors import SettingsError
from recipes.pictograms.descriptions import MATTERS, DescriptionConfig, Descriptions

NOTHING_KNOWN = {"titles": [], "keywords": [], "group": "", "subgroup": "", "colours": []}
CONCEPTS = {
    "lemon": {
        **NOTHING_KNOWN,
        "name": "lemon",
        "keywords": ["sour"],
        "group": "food",
        "subgroup": "fruit",
        "kinds": ["citrus"],
        "colours": ["yellow"],
        "definitions": ["yellow oval fruit with juicy flesh; of evergreens", "a tree's sweet part"],
    },
    "lime": {**NOTHING_KNOWN, "name": "lime", "keywords": ["sour"], "subgroup": "fruit"},
    "flies": {**NOTHING_KNOWN, "name": "flying insects", "subgroup": "insect"},
    "x": {**NOTHING_KNOWN, "name": "x"},
}
BASES = {"flying": "fly", "insects": "insect", "evergreens": "evergreen"}
LEMON, LIME, FLIES, X = range(4)


def described(unsaid: frozenset[str] = frozenset(), **config: float) -> Descriptions:
    forms = {"flying": ["flew"]}
    settings = DescriptionConfig(**{"stray_share": 0.0, **config})
    return Descriptions(CONCEPTS, [*CONCEPTS], settings, bases=BASES, forms=forms, unsaid=unsaid)


def number(descriptions: Descriptions, base: str) -> int:
    return descriptions._numbers[base]


def test_rare_words_and_names_matter_most():
    found = described()
    for base, matters, spread in (
        ("lemon", MATTERS["name"], 1),
        ("sour", MATTERS["own"], 2),
        ("citrus", MATTERS["kind"], 1),
        ("fruit", MATTERS["kind"], 2),  # more than where it stands in the definition
        ("juicy", MATTERS["definition"], 1),
        ("sweet", MATTERS["kinds_definition"], 1),
    ):
        expected = matters * np.log(1 + len(CONCEPTS) / spread)
        assert found.relevance[number(found, base), LEMON] == pytest.approx(expected, rel=2e-3)
    assert found.relevance[number(found, "juicy"), LIME] == 0


def test_all_forms_of_a_word_are_one():
    found, rng = described(quote_share=0.0, other_form_share=0.5), np.random.default_rng(0)
    texts = [found.draw(FLIES, rng) for _ in range(200)]
    flying = {text for numbers, text in texts if numbers == (number(found, "fly"),)}
    assert any("flew" in text for text in flying)
    assert any("flying" in text for text in flying)


def test_what_is_drawn_fits_the_concept():
    found, rng = described(), np.random.default_rng(1)
    texts = [found.draw(LEMON, rng) for _ in range(400)]
    for numbers, _ in texts:
        assert (found.relevance[list(numbers), LEMON] > 0).all()
    for word in ("lemon", "sour", "citrus", "juicy", "sweet", "evergreens", "yellow"):
        assert any(word in text for _, text in texts), word


def test_a_definition_is_quoted_word_for_word():
    found, rng = described(quote_share=1.0), np.random.default_rng(2)
    texts = {found.draw(LEMON, rng)[1] for _ in range(200)}
    assert len(texts) > 8
    assert all(any(text in whole for whole in CONCEPTS["lemon"]["definitions"]) for text in texts)


def test_questions_of_tests_are_never_drawn():
    kept = {"frame_share": 1.0, "quote_share": 0.0}
    rng = np.random.default_rng(3)
    assert "something lime" in {described(**kept).draw(LIME, rng)[1] for _ in range(2000)}
    found = described(frozenset({"something lime"}), **kept)
    assert "something lime" not in {found.draw(LIME, rng)[1] for _ in range(2000)}


def test_a_stray_word_is_one_of_another_concept():
    rng = np.random.default_rng(4)
    found = described(stray_share=1.0, frame_share=0.0, quote_share=0.0)
    drawn = [found.draw(FLIES, rng) for _ in range(200)]
    strays = [[n for n in numbers if found.relevance[n, FLIES] == 0] for numbers, _ in drawn]
    assert {len(stray) for stray in strays} == {0, 1}  # its own words may come back
    assert {n for stray in strays for n in stray} > {number(found, "juicy"), number(found, "lime")}
    juicy = [text for numbers, text in drawn if number(found, "juicy") in numbers]
    assert all("juicy" in text.split() for text in juicy)


def test_a_concept_without_words_is_not_known():
    assert described().known.tolist() == [LEMON, LIME, FLIES]


def test_a_share_is_one():
    with pytest.raises(SettingsError, match=r"quote_share is 1.5: expected in \[0, 1\]"):
        DescriptionConfig(quote_share=1.5)
