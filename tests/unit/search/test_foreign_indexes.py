"""Indexes that autofaiss built (benchmarks/peers/autofaiss_indexes.py), and other FAISS kinds."""

import shutil
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipworks.errors import FolderError
from clipworks.search.backends.faiss_index import FaissIndex
from clipworks.search.folder_changes import delete_rows
from clipworks.search.index_folder import open_index
from tests.support.colours import DIM, write_embedding_folder

GOLDEN = Path(__file__).parents[2] / "golden" / "indexes"
KINDS = {
    "flat": "flat",
    "hnsw": "HNSW15",
    "ivf": "IVF8",
    "opq-ivf-pq": "OPQ, IVF8 PQ8",
    "opq-ivf-pq4": "OPQ, IVF8 PQ8",
    "flat-l2": "flat",
    "hnsw-l2": "HNSW15",
    "on-disk": "IVF8 SQ8, lists on disk",
}
ROWS = np.load(GOLDEN / "rows.npy").astype(np.float32)
ANSWERS = np.load(GOLDEN / "answers.npz")
QUERIES = ANSWERS["queries"]


@pytest.mark.parametrize("name", KINDS)
def test_indexes_of_autofaiss_are_read(name):
    index = FaissIndex.open(GOLDEN / f"{name}.index")
    assert (index.kind, index.size, index.embedding_dim) == (KINDS[name], 400, 32)
    ids, similarities = index.search(QUERIES, 10)
    if name != "on-disk" and not name.startswith("hnsw"):  # ours looks at more of its nodes
        assert (ids == ANSWERS[f"{name}.i"]).mean() > 0.95
    true = np.take_along_axis(QUERIES @ ROWS.T, ids, axis=1)
    np.testing.assert_allclose(similarities, true, atol=0.5 if "pq" in name else 0.02)


@pytest.mark.parametrize("name", KINDS)
def test_searches_within_rows_and_rows_themselves_come_from_any_of_them(name):
    index = FaissIndex.open(GOLDEN / f"{name}.index")
    allowed = np.zeros(400, bool)
    allowed[np.random.default_rng(0).choice(400, 30, replace=False)] = True
    ids, similarities = index.search(QUERIES, 30, allowed=allowed)
    assert (np.sort(ids) == np.flatnonzero(allowed)).all()
    if "pq" not in name:
        true = np.take_along_axis(QUERIES @ ROWS.T, ids, axis=1)
        np.testing.assert_allclose(similarities, true, atol=0.02)
    given = index.reconstruct(np.array([399, 0, 5]))
    np.testing.assert_allclose(given, ROWS[[399, 0, 5]], atol=0.6 if "pq" in name else 0.02)


@pytest.fixture
def folder(tmp_path):
    """As clip-retrieval's index command leaves it: an index and metadata, no embeddings."""
    folder = tmp_path / "indexed"
    (folder / "metadata").mkdir(parents=True)
    for number in range(2):
        names = [f"{row}.png" for row in range(200 * number, 200 * (number + 1))]
        path = folder / "metadata" / f"metadata_{number}.parquet"
        pq.write_table(pa.table({"image_path": names}), path)
    return folder


@pytest.mark.parametrize("name", ["flat-l2", "on-disk", "opq-ivf-pq"])
def test_a_folder_with_nothing_but_an_index_and_metadata_is_searched(folder, name, capfd):
    source = GOLDEN / f"{name}.index"
    copy = shutil.copytree if source.is_dir() else shutil.copyfile
    copy(source, folder / "image.index")
    opened = open_index(folder, "image")
    ids, _ = opened.index.search(ROWS[123:124], 1)
    assert opened.metadata.rows(ids[0].tolist()) == [{"image_path": "123.png"}]
    assert capfd.readouterr().out == ""
    delete_rows(folder, ["123.png"])
    assert 123 not in open_index(folder, "image").index.search(ROWS[123:124], 400).ids


@pytest.mark.parametrize(
    "kind",
    [
        "Flat", "HNSW8", "IVF2,Flat", "IDMap,Flat", "IDMap2,Flat", "IDMap,HNSW8", "SQ8", "PQ4x4",
        "OPQ4,PQ4x4", "PCA4,Flat", "IVF2,PQ4x4fs", "IVF2_HNSW8,Flat", "PQ4x4,RFlat",
        "IVF2,SQ8,RFlat",
    ],
)  # fmt: skip
@pytest.mark.parametrize("metric", [faiss.METRIC_INNER_PRODUCT, faiss.METRIC_L2])
def test_whatever_faiss_writes_is_searched(tmp_path, kind, metric):
    rows = np.random.default_rng(0).standard_normal((300, DIM)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    index = faiss.index_factory(DIM, kind, metric)
    index.train(rows)
    if "IDMap" in kind:
        index.add_with_ids(rows, np.arange(300))
    else:
        index.add(rows)
    faiss.write_index(index, str(tmp_path / "image.index"))
    opened = FaissIndex.open(tmp_path / "image.index")
    is_exact = "PQ4" not in kind and "PCA" not in kind
    ids, similarities = opened.search(rows[:50], 1)
    if is_exact:
        assert (ids[:, 0] == np.arange(50)).mean() > 0.9
        np.testing.assert_allclose(similarities, 1, atol=0.05)
    allowed = np.zeros(300, bool)
    allowed[[7, 200, 299]] = True
    found = opened.search(rows[7:8], 5, allowed=allowed)
    assert sorted(found.ids[0].tolist()) == [-1, -1, 7, 200, 299]
    if "4fs" in kind:
        with pytest.raises(FolderError, match="does not give its rows back"):
            opened.reconstruct(np.array([0]))
    if is_exact:
        assert found.ids[0, 0] == 7
        np.testing.assert_allclose(opened.reconstruct(np.array([299, 3])), rows[[299, 3]], atol=0.1)


def test_samples_of_a_foreign_index_can_be_deleted(tmp_path):
    rows = np.eye(DIM, dtype=np.float32)
    records = [{"image_path": str(i)} for i in range(DIM)]
    folder = write_embedding_folder(tmp_path / "out", [(rows, records)], manifest=False)
    index = faiss.index_factory(DIM, "HNSW8", faiss.METRIC_INNER_PRODUCT)
    index.add(rows)
    faiss.write_index(index, str(folder / "image.index"))
    delete_rows(folder, ["3"])
    opened = open_index(folder, "image")
    assert opened.index.kind == "HNSW8"
    assert 3 not in opened.index.search(rows[3:4], DIM).ids
