import numpy as np
import pytest

from clipworks.errors import SettingsError
from clipworks.search import sifting
from clipworks.search.ranking import Piece
from clipworks.search.search_options import SearchOptions
from clipworks.search.sifting import sift

ROWS = np.eye(64, dtype=np.float32)[np.arange(64) % 40]


@pytest.fixture(autouse=True)
def small_slices(monkeypatch):
    monkeypatch.setattr(sifting, "_SLICE_HITS", 16)


def pieces():
    ids = np.arange(64)
    yield Piece(ids[:40], 1 - ids[:40] / 100)
    yield Piece(ids[40:], 1 - ids[40:] / 100)


def run(options, judge=None):
    taken = []

    def take(ids):
        taken.append(len(ids))
        return ROWS[ids]

    return sift(pieces(), options, take=take, judge=judge), taken


def ids_of(found):
    return [int(row) for part in found for row in part.piece.ids]


def test_without_filters_no_row_is_read():
    found, taken = run(SearchOptions())
    assert ids_of(found) == list(range(64))
    assert taken == []


def test_no_more_rows_are_read_than_are_asked_for():
    found, taken = run(SearchOptions(embeddings=True))
    part = next(found)
    np.testing.assert_array_equal(part.vectors, ROWS[:16])
    assert taken == [16]


def test_duplicates_of_earlier_hits_stay_out_whatever_the_slices():
    assert ids_of(run(SearchOptions(dedup=0.94))[0]) == list(range(40))


def test_the_first_slice_without_relevant_hits_is_the_last():
    def judge(rows):
        return (rows @ np.arange(64) < 5).astype(np.float32)  # rows 0 to 4, and 40 to 44

    found, taken = run(SearchOptions(relevant=True), judge)
    assert ids_of(found) == [0, 1, 2, 3, 4]
    assert taken == [16, 16]


@pytest.mark.parametrize("judge", [None, lambda rows: None])
def test_relevance_that_cannot_be_judged_is_refused_only_where_it_decides(judge):
    found, _ = run(SearchOptions(relevant=True), judge)
    with pytest.raises(SettingsError, match="leave --relevant out"):
        next(found)
    found, _ = run(SearchOptions(probabilities=True), judge)
    assert next(found).probabilities is None
