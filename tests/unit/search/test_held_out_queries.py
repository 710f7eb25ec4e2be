import numpy as np
import pytest

from clipworks.arrays import normalize_rows
from clipworks.search.backends.exact_index import ExactIndex
from clipworks.search.embedding_rows import EmbeddingRows
from clipworks.search.held_out_queries import QuerySet, moved

DIM = 32


def opened(tmp_path, rows):
    np.save(tmp_path / "rows.npy", rows.astype(np.float16))
    rows = EmbeddingRows([tmp_path / "rows.npy"])
    return rows, ExactIndex.build(rows)


def own(rows, ids):
    return QuerySet("image->image", rows.take(ids), ids, "rows")


@pytest.fixture
def clusters():
    """Twenty clusters on a sphere, each thin in most directions."""
    random = np.random.default_rng(0)
    centres = 4 * random.standard_normal((20, DIM))
    spread = np.geomspace(1, 0.01, DIM)
    rows = centres[random.integers(0, 20, 2000)] + spread * random.standard_normal((2000, DIM))
    return normalize_rows(rows.astype(np.float32))


def test_rows_are_moved_to_where_none_is_and_stay_among_their_like(tmp_path, clusters):
    rows, index = opened(tmp_path, clusters)
    ids = np.arange(0, 2000, 20)
    queries = moved(own(rows, ids), index, rows).queries
    np.testing.assert_allclose(np.linalg.norm(queries, axis=1), 1, atol=1e-5)
    steps = queries - rows.take(ids)
    assert np.linalg.norm(steps, axis=1).min() > 0.005
    thin = np.linalg.norm(steps[:, DIM // 2 :]) / np.linalg.norm(steps)
    assert thin < 0.2  # random noise would go as far in these directions as in the others: 0.7


def test_moving_is_the_same_every_time(tmp_path, clusters):
    rows, index = opened(tmp_path, clusters)
    first, again = (moved(own(rows, np.arange(50)), index, rows) for _ in range(2))
    assert np.array_equal(first.queries, again.queries)


def test_queries_that_are_no_rows_stay_where_they_are(tmp_path, clusters):
    rows, index = opened(tmp_path, clusters)
    texts = QuerySet("text->image", clusters[:5], None, "texts")
    assert moved(texts, index, rows) is texts


@pytest.mark.parametrize("count", [1, 2, 3])
def test_folders_of_hardly_any_rows_will_do(tmp_path, clusters, count):
    rows, index = opened(tmp_path, clusters[:count])
    queries = moved(own(rows, np.arange(count)), index, rows).queries
    np.testing.assert_allclose(np.linalg.norm(queries, axis=1), 1, atol=1e-3)
