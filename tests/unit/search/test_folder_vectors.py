import numpy as np
import pytest

from clipworks.errors import FolderError
from clipworks.search.build import build_index
from clipworks.search.deleted_rows import write_deleted
from clipworks.search.folder_vectors import open_vectors
from tests.support.folders import random_folder


def test_rows_come_from_the_arrays_or_else_from_the_index(tmp_path):
    folder, rows = random_folder(tmp_path / "out", 50, parts=3)
    build_index(folder)
    from_arrays = open_vectors(folder)
    ids = np.array([49, 0, 17])
    np.testing.assert_array_equal(from_arrays.take(ids), rows[ids])
    (folder / "img_emb" / "img_emb_1.npy").unlink()
    from_index = open_vectors(folder)
    assert from_index.rows is None
    np.testing.assert_allclose(from_index.take(ids), rows[ids], atol=2e-3)


def test_deleted_rows_are_passed_over(tmp_path):
    folder, rows = random_folder(tmp_path / "out", 20, parts=2)
    write_deleted(folder, np.array([3, 19]))
    vectors = open_vectors(folder)
    assert vectors.size == 20
    assert vectors.ids.tolist() == [i for i in range(20) if i not in (3, 19)]
    ((ids, block),) = vectors.blocks()
    np.testing.assert_array_equal(block, rows[ids])
    assert len(vectors.sample(100)) == 18


def test_arrays_out_of_step_are_refused(tmp_path):
    folder, rows = random_folder(tmp_path / "out", 20, parts=2)
    build_index(folder)
    np.save(folder / "img_emb" / "img_emb_1.npy", rows[:3].astype(np.float16))
    with pytest.raises(FolderError, match="the image embeddings have 3 rows and the metadata 10"):
        open_vectors(folder)
