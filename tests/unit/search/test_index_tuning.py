from dataclasses import replace

import numpy as np
import pytest

from clipworks.arrays import normalize_rows
from clipworks.search.backends.faiss_index import FaissIndex
from clipworks.search.embedding_rows import EmbeddingRows
from clipworks.search.held_out_queries import QuerySet, draw_queries, find_exactly
from clipworks.search.index_measures import IndexMeasures, QueryMeasure, names_meant
from clipworks.search.index_settings import IndexSettings
from clipworks.search.index_tuning import Trial, measure, tune
from clipworks.search.matches import Matches
from clipworks.search.refined_index import RefinedIndex

DIM = 32


class Contents:
    """What `draw_queries` needs of a folder."""

    def __init__(self, **rows):
        self.rows = rows


def saved(path, rows):
    np.save(path, rows.astype(np.float16))
    return EmbeddingRows([path])


@pytest.fixture
def images(tmp_path):
    """Clusters, so that lists are worth having."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((40, DIM))
    rows = centres[random.integers(0, 40, 4000)] + 0.5 * random.standard_normal((4000, DIM))
    return saved(tmp_path / "images.npy", normalize_rows(rows.astype(np.float32)))


@pytest.fixture
def trial(images):
    texts = normalize_rows(np.random.default_rng(1).standard_normal((60, DIM)).astype(np.float32))
    sets = draw_queries(Contents(image=images), "image", texts)
    return Trial(images, sets, find_exactly(sets, images, lambda *_: None))


def brute_force(queries, rows, k):
    return np.argsort(-(queries.astype(np.float64) @ rows.astype(np.float64).T), axis=1)[:, :k]


def test_exact_answers_are_those_of_brute_force(trial, images):
    rows = images.take(np.arange(images.size))
    for queries, truth in zip(trial.sets, trial.truths, strict=True):
        expected = brute_force(queries.queries, rows, 101)
        assert (truth.ids == expected).mean() > 0.99  # float32 may swap two that are this near


def test_a_query_of_the_folder_is_no_answer_to_itself(trial):
    (own, texts) = trial.sets
    assert (own.name, texts.name) == ("image->image", "text->image")
    for answers, row in zip(own.answers(trial.truths[0], 10), own.own, strict=True):
        assert len(answers) == 10
        assert row not in answers
    assert all(len(answers) == 10 for answers in texts.answers(trial.truths[1], 10))


def test_texts_of_the_folder_come_before_everyday_ones(images, tmp_path):
    texts = np.zeros((4000, DIM), np.float32)
    texts[::2, 0] = 1  # every other sample has no caption: zeros, which are no query
    contents = Contents(image=images, text=saved(tmp_path / "texts.npy", texts))
    _, drawn = draw_queries(contents, "image", np.ones((3, DIM), np.float32))
    assert drawn.origin == "the folder's own texts"
    assert (drawn.queries[:, 0] == 1).all()
    assert 100 < len(drawn.queries) < 300
    names = [each.name for each in draw_queries(contents, "text", None)]
    assert names == ["text->text", "image->text"]
    assert len(draw_queries(Contents(image=images), "image", None)) == 1


@pytest.mark.parametrize("kind", ["ivf-fast", "ivf-sq8", "hnsw", "ivf-pq"])
@pytest.mark.parametrize("target", [0.8, 0.97])
def test_an_index_is_tuned_to_what_is_asked_for_and_no_more(trial, images, kind, target):
    index = FaissIndex.build(images, IndexSettings(kind=kind))
    tuned = tune(index, trial, target)
    answering = RefinedIndex(index, images, tuned.refinement) if tuned.refinement else index
    measures = measure(answering, trial, tuned)
    assert measures.reaches_target
    assert min(each.recall_at_10 for each in measures.queries.values()) >= target
    if kind in ("ivf-fast", "ivf-sq8"):
        assert tuned.effort < index.max_effort
    if kind == "ivf-pq":
        assert tuned.refinement > 1  # four codes a row are not enough


@pytest.mark.parametrize("kind", ["ivf-fast", "hnsw"])
def test_an_index_that_pictures_alone_are_to_ask_is_tuned_to_them(trial, images, kind):
    index = FaissIndex.build(images, IndexSettings(kind=kind))
    pictures, texts = (
        tune(index, trial.asked_by(queries), 0.9).effort for queries in ("image", "text")
    )
    assert tune(index, trial.asked_by("both"), 0.9).effort == max(pictures, texts)
    assert pictures < texts


def test_what_none_of_the_queries_is_means_all_of_them(trial):
    assert names_meant("both", ["a->b", "c->b"]) == ["a->b", "c->b"]
    assert names_meant("c", ["a->b", "c->b"]) == ["c->b"]
    assert names_meant("text", ["image->image"]) == ["image->image"]
    assert [each.name for each in trial.asked_by("text").sets] == ["text->image"]


def test_recall_is_measured_as_it_is_defined(trial, images):
    index = FaissIndex.build(images, IndexSettings(kind="ivf-sq8"))
    index.set_effort(3)
    rows = images.take(np.arange(images.size))
    texts = trial.sets[1].queries
    expected, found = brute_force(texts, rows, 10), index.search(texts, 10).ids
    shares = [len(set(a) & set(b)) / 10 for a, b in zip(expected, found, strict=True)]
    assert trial.recall(index, 1, 10) == pytest.approx(np.mean(shares), abs=0.002)
    assert np.mean(shares) < 0.9


def test_a_row_that_is_as_near_counts_as_found(tmp_path):
    rows = saved(tmp_path / "rows.npy", np.repeat(np.eye(4), 30, axis=0))  # thirty of each
    index = FaissIndex.build(rows, IndexSettings(kind="flat"))
    queries = QuerySet("text->image", np.eye(4, dtype=np.float32), None, "")
    others = Matches(
        np.arange(10)[None] + np.arange(4)[:, None] * 30 + 20, np.ones((4, 10), np.float32)
    )
    assert Trial(rows, [queries], [others]).recall(index, 0, 10) == 1


def test_a_recall_that_cannot_be_reached_is_said():
    found = QueryMeasure(0.9, None, 1.0, 2.0, 10, "")
    assert not IndexMeasures(1, 0, 0.95, queries={"text->image": found}).reaches_target
    assert IndexMeasures(1, 0, 0.9, queries={"text->image": found}).reaches_target
    both = {"text->image": found, "image->image": replace(found, recall_at_10=0.96)}
    assert IndexMeasures(1, 0, 0.95, asked_by="image", queries=both).reaches_target
    assert not IndexMeasures(1, 0, 0.95, asked_by="text", queries=both).reaches_target
