import numpy as np
import pytest

from clipworks.arrays import normalize_rows
from clipworks.search.backends.faiss_index import FaissIndex
from clipworks.search.embedding_rows import EmbeddingRows
from clipworks.search.faiss_binding import faiss, one_thread
from clipworks.search.faiss_kinds import Effort, search_parameters
from clipworks.search.index_settings import IndexSettings

DIM, COUNT = 24, 900
ROWS = normalize_rows(np.random.default_rng(0).standard_normal((COUNT, DIM)).astype(np.float32))


@pytest.fixture
def saved(tmp_path):
    """An index of tiny codes and whole rows, in its file."""
    np.save(tmp_path / "rows.npy", ROWS.astype(np.float16))
    index = FaissIndex.build(EmbeddingRows([tmp_path / "rows.npy"]), IndexSettings(kind="ivf-fast"))
    index.set_effort(index.max_effort)
    index.save(tmp_path / "image.index")
    return tmp_path / "image.index"


def compared_again(path, k):
    parameters = search_parameters(faiss.read_index(str(path)), k, Effort(1.0, None))
    return round(parameters.k_factor * k)


@pytest.mark.parametrize(("k", "rows"), [(1, 160), (10, 160), (100, 200), (300, 600), (900, 900)])
def test_a_page_of_hits_is_chosen_from_many_rows_and_a_long_list_from_twice_its_own(saved, k, rows):
    assert compared_again(saved, k) == rows


@pytest.mark.parametrize(
    ("effort", "k", "rows"),
    [(12, 10, 12), (12, 1, 12), (64, 10, 30), (64, 100, 100), (400, 100, 200)],
)
def test_of_a_graph_no_more_rows_are_compared_than_are_visited(tmp_path, effort, k, rows):
    np.save(tmp_path / "rows.npy", ROWS.astype(np.float16))
    index = FaissIndex.build(EmbeddingRows([tmp_path / "rows.npy"]), IndexSettings(kind="hnsw"))
    index.set_effort(effort)
    index.save(tmp_path / "image.index")
    assert compared_again(tmp_path / "image.index", k) == rows


def test_an_index_that_compares_no_further_rows_stays_so(tmp_path):
    index = faiss.index_factory(DIM, "PQ4x4,RFlat", faiss.METRIC_INNER_PRODUCT)
    index.train(ROWS)
    index.add(ROWS)
    faiss.write_index(index, str(tmp_path / "image.index"))
    assert compared_again(tmp_path / "image.index", 7) == 7


def test_what_is_searched_fast_is_readable_by_plain_faiss(saved):
    """The factor and the effort are in the file: other programs find as much."""
    plain = faiss.read_index(str(saved))
    similarities, ids, rows = plain.search_and_reconstruct(ROWS[:20], 1)
    np.testing.assert_array_equal(ids[:, 0], np.arange(20))
    np.testing.assert_allclose(similarities, 1, atol=0.02)
    np.testing.assert_allclose(rows[:, 0], ROWS[:20], atol=0.02)


def test_inner_products_survive_narrowing(saved):
    """It is no move of the origin, which would change who is nearest to whom."""
    index = faiss.read_index(str(saved))
    narrow = faiss.downcast_index(index.base_index).chain.at(0).apply(ROWS)
    np.testing.assert_allclose(narrow @ narrow.T, ROWS @ ROWS.T, atol=1e-4)


def test_rows_are_taken_out_without_building_anew(saved):
    kept = np.random.default_rng(1).random(COUNT) < 0.6
    thinned = FaissIndex.open(saved).thinned(kept)
    assert thinned is not None
    assert thinned.size == kept.sum()
    ids, _ = thinned.search(ROWS[kept], 1)
    np.testing.assert_array_equal(ids[:, 0], np.arange(kept.sum()))
    np.testing.assert_allclose(thinned.reconstruct(np.arange(kept.sum())), ROWS[kept], atol=0.02)
    assert np.sort(thinned.search(ROWS[:1], COUNT).ids[0]).tolist() == list(range(kept.sum()))


def test_one_thread_is_for_a_while():
    before = faiss.omp_get_max_threads()
    with pytest.raises(ZeroDivisionError), one_thread():
        assert faiss.omp_get_max_threads() == 1
        raise ZeroDivisionError
    assert faiss.omp_get_max_threads() == before
