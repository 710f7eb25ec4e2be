import numpy as np
import pytest

from clipworks.errors import FolderError
from clipworks.search import embedding_rows
from clipworks.search.embedding_rows import EmbeddingRows


def save(folder, *sizes, dim=4, dtype=np.float16):
    files, start = [], 0
    for number, size in enumerate(sizes):
        rows = np.arange(start, start + size, dtype=dtype)[:, None] * np.ones(dim, dtype)
        files.append(folder / f"{number}.npy")
        np.save(files[-1], rows)
        start += size
    return files


def test_blocks_hold_every_row_once_and_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(embedding_rows, "BLOCK_ROWS", 3)
    rows = EmbeddingRows(save(tmp_path, 7, 0, 2))
    blocks = list(rows.blocks())
    assert [len(block) for block in blocks] == [3, 3, 1, 2]
    assert all(block.dtype == np.float32 for block in blocks)
    np.testing.assert_array_equal(np.concatenate(blocks)[:, 0], np.arange(9))
    assert (rows.size, rows.sizes, rows.embedding_dim) == (9, [7, 0, 2], 4)


def test_a_sample_is_of_distinct_rows_and_always_the_same(tmp_path):
    rows = EmbeddingRows(save(tmp_path, 50, 50))
    first, second = rows.sample(30), rows.sample(30)
    np.testing.assert_array_equal(first, second)
    assert len(set(first[:, 0])) == 30
    assert len(rows.sample(1000)) == 100


def test_files_of_several_widths_are_refused(tmp_path):
    files = save(tmp_path, 3)
    np.save(tmp_path / "wide.npy", np.zeros((2, 5), np.float16))
    with pytest.raises(FolderError, match=r"\[4, 5\] wide, so they come from several models"):
        EmbeddingRows([*files, tmp_path / "wide.npy"])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(4, np.float16), r"float16 \[4\]"),
        (np.zeros((2, 4), np.int64), r"int64 \[2, 4\]"),
        (np.array([[None]]), "damaged"),
    ],
)
def test_what_is_no_matrix_of_floats_is_refused(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(FolderError, match=message):
        EmbeddingRows([tmp_path / "a.npy"])


def test_a_cut_off_file_says_so(tmp_path):
    (path,) = save(tmp_path, 100)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(FolderError, match=r"0\.npy is damaged"):
        EmbeddingRows([path])
