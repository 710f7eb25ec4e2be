"""Descriptions by a few words, and how well they fit."""

import numpy as np
import pytest
import torch

from clipworks.errors import SettingsError
from clipworks.inputs import TextSpec, special_ids, train_bpe_tokenizer
from clipworks.inputs.text_tokenizer import TextTokenizer
from clipworks.train.config import settings_from_table
from recipes.pictograms.captions import CaptionWriter
from recipes.pictograms.descriptions import MATTERS, DescriptionConfig, Descriptions
from recipes.pictograms.phrases import PhraseConfig, Phrases

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
    settings = DescriptionConfig(share=1.0, **config)
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


def test_a_description_fits_as_its_rare_words_do():
    found = described(sharpness=2.0, least_fit=0.0)
    sour, juicy, insect = (number(found, base) for base in ("sour", "juicy", "insect"))
    fits = found.weigh(np.array([LEMON, LIME, FLIES, LIME]), [(sour,), (sour, juicy), (insect,)])
    lacks = MATTERS["definition"] * np.log(1 + 4)
    expected = [[1, 1, 0], [1, np.exp(-2 * lacks), 0], [0, 0, 1], [1, np.exp(-2 * lacks), 0]]
    np.testing.assert_allclose(fits, expected, atol=1e-3)


def test_what_fits_too_little_does_not_fit():
    found = described(sharpness=2.0, least_fit=0.5)
    texts = [(number(found, "sour"), number(found, "juicy"))]
    assert found.weigh(np.array([LEMON, LIME]), texts).ravel().tolist() == [1, 0]


def test_all_forms_of_a_word_are_one():
    found, rng = described(quote_share=0.0, other_form_share=0.5), np.random.default_rng(0)
    texts = [found.draw(FLIES, rng) for _ in range(200)]
    flying = {text for numbers, text in texts if numbers == (number(found, "fly"),)}
    assert any("flew" in text for text in flying)
    assert any("flying" in text for text in flying)


def test_what_is_drawn_fits_the_concept():
    found, rng = described(), np.random.default_rng(1)
    texts = [found.draw(LEMON, rng) for _ in range(400)]
    assert (found.weigh(np.array([LEMON]), [numbers for numbers, _ in texts]) > 0).all()
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


def test_a_concept_without_words_is_not_known():
    found = described()
    assert [found.knows(concept) for concept in (LEMON, X)] == [True, False]


def writer(share: float) -> CaptionWriter:
    phrases = Phrases(CONCEPTS, [*CONCEPTS], PhraseConfig())
    content = train_bpe_tokenizer(phrases.texts * 2, 540)
    start, end = special_ids(content)
    tokenizer = TextTokenizer(content, TextSpec(context_length=24, start_id=start, end_id=end))
    config = DescriptionConfig(share=share)
    descriptions = Descriptions(
        CONCEPTS, [*CONCEPTS], config, bases=BASES, forms={}, unsaid=frozenset()
    )
    return CaptionWriter(phrases, tokenizer, descriptions if share else None)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_captions_have_a_right_picture_each(share):
    concepts = np.array([LEMON, LEMON, LIME, FLIES, X, X])
    others = np.array([LIME, FLIES])
    one, again = (writer(share).write(concepts, np.random.default_rng(4), others) for _ in range(2))
    assert one.positives.shape == (8, len(one.tokens))
    assert len(torch.unique(one.tokens, dim=0)) == len(one.tokens)
    assert (one.positives > 0).any(dim=0).all()
    assert (one.positives[:6] > 0).any(dim=1).all()
    assert torch.equal(one.tokens, again.tokens)
    assert torch.equal(one.positives, again.positives)


def test_a_share_is_one():
    assert settings_from_table(DescriptionConfig, {"share": 0.5}, "[descriptions]").share == 0.5
    with pytest.raises(SettingsError, match=r"share is 1.5: expected in \[0, 1\]"):
        DescriptionConfig(share=1.5)
