import math

import numpy as np
import pytest

from clipworks.arrays import normalize_rows
from clipworks.search import relevance
from clipworks.search.relevance import (
    OFFSET,
    SLOPE,
    Relevance,
    embedded_words,
    everyday_words,
    words_path,
)
from tests.support.colours import DIM, colour_embedder


def rows(count, seed, dim=24):
    return normalize_rows(np.random.default_rng(seed).standard_normal((count, dim)).astype("f4"))


def test_the_probability_is_the_formula_of_the_docstring():
    sample, cohort, hits, (query,) = rows(200, 0), rows(90, 1), rows(7, 2), rows(1, 3)
    found = Relevance(sample, cohort, 200).judge(query, hits)
    background = sorted(float(row @ query) for row in sample)
    middle = (background[99] + background[100]) / 2
    deviations = sorted(abs(value - middle) for value in background)
    spread = 1.4826 * (deviations[99] + deviations[100]) / 2
    for probability, hit in zip(found, hits, strict=True):
        cosine = float(hit @ query)
        others = [float(hit @ word) for word in cohort]
        mean = sum(others) / len(others)
        deviation = math.sqrt(sum((value - mean) ** 2 for value in others) / len(others))
        score = ((cosine - middle) / spread + (cosine - mean) / deviation) / 2
        logit = SLOPE * score + OFFSET + math.log((1 / 200) / (1 - 1 / 200))
        assert probability == pytest.approx(1 / (1 + math.exp(-logit)), rel=1e-3)


def test_a_row_that_stands_out_is_relevant_and_others_are_not():
    sample, cohort, (query,) = rows(500, 0, 192), rows(300, 1, 192), rows(1, 2, 192)
    judged = Relevance(sample, cohort, 500).judge(query, np.stack([query, *sample[:20]]))
    assert judged[0] > 0.99
    assert judged[1:].max() < 0.3


def test_the_more_rows_the_more_an_answer_must_stand_out():
    sample, cohort, hits, (query,) = rows(200, 0), rows(90, 1), rows(20, 2), rows(1, 3)
    few, many, most = (
        Relevance(sample, cohort, n).judge(query, hits) for n in (200, 2000, 2_000_000)
    )
    assert (few > many).all()
    np.testing.assert_array_equal(many, most)


def test_where_it_cannot_be_said_it_says_none():
    cohort, hits, (query,) = rows(90, 1), rows(3, 2), rows(1, 3)
    assert Relevance(rows(29, 0), cohort, 29).judge(query, hits) is None
    assert Relevance(np.repeat(rows(1, 0), 50, 0), cohort, 50).judge(query, hits) is None
    blanks = np.concatenate([rows(20, 0), np.zeros((20, 24), np.float32)])  # without captions
    assert Relevance(blanks, cohort, 40).judge(query, hits) is None
    assert Relevance(rows(30, 0), cohort, 30).judge(query, hits) is not None


def test_the_words_are_plain_and_all_different():
    words = everyday_words()
    assert 400 < len(words) < 600
    assert len(set(words)) == len(words)
    assert all(word == word.strip().lower() and word for word in words)


def test_words_are_embedded_once_for_a_model(monkeypatch):
    embedder = colour_embedder()
    first = embedded_words(embedder)
    assert first.shape == (len(everyday_words()), DIM)
    monkeypatch.setattr(type(embedder), "embed_texts", None)
    np.testing.assert_array_equal(embedded_words(embedder), first)
    assert words_path(embedder) != words_path(colour_embedder(fingerprint="other"))


def test_a_damaged_cache_is_made_anew():
    embedder = colour_embedder()
    first = embedded_words(embedder)
    words_path(embedder).write_bytes(b"x")
    np.testing.assert_array_equal(embedded_words(embedder), first)
    assert relevance.np.load(words_path(embedder)).shape == first.shape


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CLIPWORKS_CACHE", str(tmp_path / "file"))
    embedder = colour_embedder()
    assert embedded_words(embedder).shape == (len(everyday_words()), DIM)
