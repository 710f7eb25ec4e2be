"""What every index backend does, however it keeps its rows."""

import numpy as np
import pytest

from clipworks.arrays import normalize_rows
from clipworks.errors import FolderError, InputError, SettingsError
from clipworks.search.backends import faiss_index
from clipworks.search.embedding_rows import EmbeddingRows
from clipworks.search.index import INDEXES
from clipworks.search.index_settings import IndexSettings

DIM = 32


def random_rows(count, seed=0):
    rows = np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32)
    return normalize_rows(rows).astype(np.float16)


def rows_on_disk(folder, *parts):
    files = []
    for number, part in enumerate(parts):
        files.append(folder / f"rows_{number}.npy")
        np.save(files[-1], part)
    return EmbeddingRows(files)


class Maker:
    """A backend, and the settings of one of its kinds."""

    def __init__(self, name, **settings):
        self.backend, self.settings = INDEXES.load(name), IndexSettings(**settings)
        self.open = self.backend.open

    def build(self, rows, report=None):
        return self.backend.build(rows, self.settings, report)


@pytest.fixture(
    params=["exact", "flat", "hnsw", "ivf-fast", "ivf-sq8", "ivf-pq", "lists on disk", "milvus"]
)
def backend(request, tmp_path, tmp_path_factory):
    """The backends, and FAISS in all of its kinds."""
    if request.param == "exact":
        return Maker("exact")
    if request.param == "milvus":
        return Maker("milvus", server=str(tmp_path_factory.mktemp("server") / "rows.db"))
    if request.param == "lists on disk":
        return Maker("faiss", kind="ivf-sq8", memory_bytes=1_000_000, work_folder=tmp_path / "work")
    return Maker("faiss", kind=request.param)


def is_approximate(index):
    return "IVF" in index.kind or "HNSW" in index.kind


def has_short_codes(index):
    return "PQ" in index.kind and "SQ8" not in index.kind


def least_recall(index):
    """Random rows have no clusters, and four codes a row are few."""
    return 0.15 if has_short_codes(index) else 0.7 if is_approximate(index) else 0.99


def tolerance(index):
    """Of similarities: what is lost when a row becomes codes."""
    return 0.8 if has_short_codes(index) else 0.03 if is_approximate(index) else 1e-6


def brute_force(rows, queries, k):
    similarities = queries.astype(np.float64) @ rows.astype(np.float64).T
    ids = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    return ids, np.take_along_axis(similarities, ids, axis=1)


def test_every_registered_backend_is_in_this_suite():
    assert set(INDEXES) == {"exact", "faiss", "milvus"}


def test_the_nearest_rows_come_first_and_their_similarities_are_right(backend, tmp_path):
    parts = random_rows(700), random_rows(1, 1), random_rows(1299, 2)
    rows = np.concatenate(parts)
    queries = random_rows(40, 3).astype(np.float32)
    index = backend.build(rows_on_disk(tmp_path, *parts))
    ids, similarities = index.search(queries, 10)
    expected_ids, expected = brute_force(rows, queries, 10)
    assert ids.shape == similarities.shape == (40, 10)
    assert ids.dtype == np.int64
    assert similarities.dtype == np.float32
    assert (np.diff(similarities, axis=1) <= 0).all()
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(ids, expected_ids, strict=True)])
    assert recall > least_recall(index)
    true = np.take_along_axis(queries @ rows.astype(np.float32).T, ids, axis=1)
    np.testing.assert_allclose(similarities, true, atol=tolerance(index))
    if not is_approximate(index):
        np.testing.assert_allclose(similarities, expected, atol=1e-6)


def test_a_row_finds_itself(backend, tmp_path):
    rows = random_rows(500)
    index = backend.build(rows_on_disk(tmp_path, rows))
    ids, similarities = index.search(rows.astype(np.float32), 1)
    if not has_short_codes(index):
        assert (ids[:, 0] == np.arange(500)).mean() >= (0.98 if "HNSW" in index.kind else 1)
        np.testing.assert_allclose(similarities, 1, atol=tolerance(index) + 2e-3)


def test_save_and_open_change_nothing(backend, tmp_path):
    index = backend.build(rows_on_disk(tmp_path, random_rows(300)))
    index.save(tmp_path / "saved.index")
    opened = backend.open(tmp_path / "saved.index")
    queries = random_rows(5, 1).astype(np.float32)
    assert (opened.kind, opened.size, opened.embedding_dim) == (index.kind, 300, DIM)
    before, after = index.search(queries, 7), opened.search(queries, 7)
    np.testing.assert_array_equal(before.ids, after.ids)
    # Milvus adds up in another order from one time to the next; all others answer bit for bit.
    rounding = 1e-6 if backend.settings.server else 0
    np.testing.assert_allclose(before.similarities, after.similarities, rtol=rounding, atol=0)
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_more_results_than_rows_gives_each_row_once(backend, tmp_path):
    index = backend.build(rows_on_disk(tmp_path, random_rows(1000)))
    ids, _ = index.search(random_rows(2, 1).astype(np.float32), 5000)
    assert ids.shape == (2, 1000)
    assert (np.sort(ids) == np.arange(1000)).all()


@pytest.mark.parametrize("k", [0, -1])
def test_no_results_wanted_is_an_error(backend, tmp_path, k):
    index = backend.build(rows_on_disk(tmp_path, random_rows(50)))
    with pytest.raises(SettingsError, match=f"number of results {k}: expected at least 1"):
        index.search(random_rows(1).astype(np.float32), k)


def test_queries_of_another_width_or_type_are_refused(backend, tmp_path):
    index = backend.build(rows_on_disk(tmp_path, random_rows(50)))
    with pytest.raises(InputError, match="rows of 32 numbers, got queries of 31"):
        index.search(np.zeros((1, 31), np.float32), 1)
    with pytest.raises(InputError, match="float64"):
        index.search(np.zeros((1, DIM)), 1)
    with pytest.raises(InputError, match=r"\[32\]"):
        index.search(np.zeros(DIM, np.float32), 1)


def test_no_queries_is_no_error(backend, tmp_path):
    index = backend.build(rows_on_disk(tmp_path, random_rows(50)))
    assert index.search(np.zeros((0, DIM), np.float32), 3).ids.shape == (0, 3)


@pytest.mark.parametrize("name", ["exact", "faiss"])
def test_an_empty_index_finds_nothing(name, tmp_path):
    index = INDEXES.load(name).build(rows_on_disk(tmp_path, random_rows(0)))
    assert index.size == 0
    assert index.search(np.zeros((2, DIM), np.float32), 3).ids.shape == (2, 0)


def test_a_missing_file_says_so(backend, tmp_path):
    with pytest.raises(FolderError, match="missing"):
        backend.open(tmp_path / "none.index")


@pytest.mark.parametrize("content", [b"", b"not an index at all", b"IxFI\x00\x00"])
def test_a_damaged_file_says_so(backend, tmp_path, content):
    path = tmp_path / "bad.index"
    path.write_bytes(content)
    with pytest.raises(FolderError, match=r"bad\.index"):
        backend.open(path)


def test_a_cut_off_file_says_so(backend, tmp_path):
    path = tmp_path / "cut.index"
    backend.build(rows_on_disk(tmp_path, random_rows(300))).save(path)
    cut = path / "populated.index" if path.is_dir() else path
    cut.write_bytes(cut.read_bytes()[:-500])
    with pytest.raises(FolderError, match=r"cut\.index"):
        backend.open(path)


def test_the_report_ends_with_all_rows(backend, tmp_path):
    told = []
    backend.build(
        rows_on_disk(tmp_path, random_rows(60), random_rows(40)), lambda *n: told.append(n)
    )
    assert told[-1] == (100, 100)


@pytest.mark.parametrize("compared", [0, 10_000], ids=["by the backend", "by comparing"])
@pytest.mark.parametrize("share", [0.005, 0.05, 0.5, 1.0])
def test_a_search_within_some_rows_finds_the_nearest_of_them(
    backend, tmp_path, monkeypatch, share, compared
):
    monkeypatch.setattr(faiss_index, "MAX_COMPARED_ROWS", compared)
    rows, queries = random_rows(3000), random_rows(20, 3).astype(np.float32)
    index = backend.build(rows_on_disk(tmp_path, rows[:1000], rows[1000:]))
    allowed = np.random.default_rng(5).random(3000) < share
    among = np.flatnonzero(allowed)
    k = min(10, len(among))
    ids, similarities = index.search(queries, k, allowed=allowed)
    assert allowed[ids].all()
    places, expected = brute_force(rows[among], queries, k)
    found = np.mean([len(set(a) & set(b)) / k for a, b in zip(ids, among[places], strict=True)])
    assert found > least_recall(index)
    np.testing.assert_allclose(similarities, expected, atol=0.1 + tolerance(index))


@pytest.mark.parametrize("compared", [0, 10_000])
def test_as_many_rows_as_are_allowed_come_and_no_more(backend, tmp_path, monkeypatch, compared):
    monkeypatch.setattr(faiss_index, "MAX_COMPARED_ROWS", compared)
    index = backend.build(rows_on_disk(tmp_path, random_rows(1000)))
    allowed = np.zeros(1000, bool)
    allowed[[999, 3, 500]] = True
    ids, similarities = index.search(random_rows(2, 1).astype(np.float32), 5, allowed=allowed)
    assert (np.sort(ids[:, :3]) == [3, 500, 999]).all()
    assert (ids[:, 3:] == -1).all()
    assert np.isneginf(similarities[:, 3:]).all()
    assert (np.diff(similarities[:, :3], axis=1) <= 0).all()


def test_where_no_row_is_allowed_none_is_found(backend, tmp_path):
    index = backend.build(rows_on_disk(tmp_path, random_rows(50)))
    found = index.search(random_rows(2, 1).astype(np.float32), 5, allowed=np.zeros(50, bool))
    assert (found.ids == -1).all()
    assert found.ids.shape == (2, 5)


def test_allowed_rows_of_another_number_or_type_are_refused(backend, tmp_path):
    index = backend.build(rows_on_disk(tmp_path, random_rows(50)))
    query = random_rows(1).astype(np.float32)
    with pytest.raises(InputError, match=r"expected bool \[50\], got bool \[49\]"):
        index.search(query, 1, allowed=np.ones(49, bool))
    with pytest.raises(InputError, match="got int64"):
        index.search(query, 1, allowed=np.arange(50))


def test_rows_are_given_back_in_the_order_asked_for(backend, tmp_path):
    rows = random_rows(300)
    index = backend.build(rows_on_disk(tmp_path, rows[:7], rows[7:]))
    index.save(tmp_path / "saved.index")
    for kept in (index, backend.open(tmp_path / "saved.index")):
        given = kept.reconstruct(np.array([299, 0, 7, 0, 6]))
        assert given.dtype == np.float32
        difference = np.abs(given - rows[[299, 0, 7, 0, 6]]).max()
        assert difference < (0.5 if has_short_codes(index) else 0.02)
        assert kept.reconstruct(np.zeros(0, np.int64)).shape == (0, DIM)


@pytest.mark.parametrize("ids", [[-1], [3, 50]])
def test_rows_that_are_not_there_are_not_given_back(backend, tmp_path, ids):
    index = backend.build(rows_on_disk(tmp_path, random_rows(50)))
    with pytest.raises(InputError, match="the index has 0 to 49"):
        index.reconstruct(np.array(ids))
