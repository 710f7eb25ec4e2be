import numpy as np
import pytest

from clipworks.arrays import normalize_rows
from clipworks.search import ranking
from clipworks.search.embedding_rows import EmbeddingRows
from clipworks.search.index import INDEXES
from clipworks.search.index_settings import IndexSettings
from clipworks.search.ranking import rank_rows

DIM = 16


def build(backend, rows, folder):
    np.save(folder / "rows.npy", rows.astype(np.float16))
    name, settings = ("exact", IndexSettings())
    if backend != "exact":
        name, settings = "faiss", IndexSettings(kind=backend)
    return INDEXES.load(name).build(EmbeddingRows([folder / "rows.npy"]), settings)


def everything(index, query, allowed=None):
    pieces = list(rank_rows(index, query, allowed))
    assert all(len(piece.ids) for piece in pieces)
    return (
        np.concatenate([piece.ids for piece in pieces]),
        np.concatenate([piece.similarities for piece in pieces]),
    )


@pytest.fixture(params=["exact", "flat", "hnsw", "ivf-fast", "ivf-sq8"])
def backend(request, monkeypatch):
    monkeypatch.setattr(ranking, "FIRST_DEPTH", 8)
    return request.param


def test_each_row_comes_once_nearest_first(backend, tmp_path):
    random = np.random.default_rng(0)
    rows = normalize_rows(random.standard_normal((700, DIM)).astype(np.float32))
    index = build(backend, rows, tmp_path)
    ids, similarities = everything(index, rows[5])
    assert sorted(ids) == list(range(700))
    if backend in ("exact", "flat"):  # others find nearer ones the more they look for
        assert (np.diff(similarities) <= 0).all()
    assert ids[0] == 5


def test_equals_come_by_their_ids_wherever_a_page_ends(backend, tmp_path):
    rows = normalize_rows(np.eye(DIM, dtype=np.float32)[np.arange(600) % 3] + 0.1)
    index = build(backend, rows, tmp_path)
    ids, _ = everything(index, rows[1])
    if backend in ("exact", "flat"):
        assert ids[:200].tolist() == list(range(1, 600, 3))
        assert sorted(ids[200:]) == sorted(set(range(600)) - set(range(1, 600, 3)))
    assert len(set(ids)) == len(ids)


def test_only_allowed_rows_come(backend, tmp_path):
    random = np.random.default_rng(1)
    rows = normalize_rows(random.standard_normal((500, DIM)).astype(np.float32))
    allowed = random.random(500) < 0.1
    ids, _ = everything(build(backend, rows, tmp_path), rows[0], allowed)
    assert sorted(ids) == np.flatnonzero(allowed).tolist()
    assert list(rank_rows(build(backend, rows, tmp_path), rows[0], np.zeros(500, np.bool_))) == []
