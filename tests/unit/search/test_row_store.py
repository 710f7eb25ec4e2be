import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipworks.errors import FolderError
from clipworks.search import row_store
from clipworks.search.metadata import MetadataTable
from clipworks.search.row_store import ROW_STORE_FILE, open_row_store, write_row_store


def make_files(folder, sizes=(7, 0, 5, 9)):
    folder.mkdir(exist_ok=True)
    files, start = [], 0
    for number, size in enumerate(sizes):
        ids = np.arange(start, start + size)
        table = pa.table(
            {
                "n": pa.array(ids),
                "word": pa.array([None if i % 4 == 0 else f"wörd {i}" for i in ids], pa.string()),
                "share": pa.array([None if i % 5 == 0 else i / 3 for i in ids], pa.float64()),
                "whole": pa.array([None if i % 3 == 0 else 2**60 + i for i in ids], pa.int64()),
                "flag": pa.array([None if i % 2 == 0 else i % 3 == 0 for i in ids], pa.bool_()),
                "list": pa.array([[int(i)] for i in ids], pa.list_(pa.int64())),
            }
        )
        files.append(folder / f"metadata_{number}.parquet")
        pq.write_table(table, files[-1], row_group_size=3)
        start += size
    return files


@pytest.fixture
def files(tmp_path):
    return make_files(tmp_path / "metadata")


def test_the_store_gives_what_the_parquet_files_give(files, monkeypatch):
    monkeypatch.setattr(row_store, "_BATCH_ROWS", 6)
    plain = MetadataTable(files)
    assert open_row_store(files) is None
    path = write_row_store(plain)
    assert path == files[0].parent.parent / ROW_STORE_FILE
    stored = MetadataTable(files)
    assert open_row_store(files) is not None
    assert stored.file_sizes == plain.file_sizes == [7, 0, 5, 9]
    assert stored.columns == plain.columns
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(21), 2))
    expected = [row for file in files for row in pq.read_table(file).to_pylist()]
    assert plain.rows(order) == stored.rows(order) == [expected[i] for i in order]
    for table in (plain, stored):
        pieces = list(table.tables(["word", "n"]))
        assert [r for _, piece in pieces for r in piece.column("n").to_pylist()] == list(range(21))
        assert [start for start, _ in pieces] == np.cumsum(
            [0, *(piece.num_rows for _, piece in pieces)]
        )[:-1].tolist()


@pytest.mark.parametrize("change", ["touch", "size", "name", "more"])
def test_a_store_that_is_older_than_the_files_is_not_used(files, change):
    write_row_store(MetadataTable(files))
    if change == "touch":
        os.utime(files[0], ns=(1, 1))
    elif change == "size":
        make_files(files[0].parent, sizes=(8, 0, 5, 9))
    elif change == "name":
        files[3] = files[3].rename(files[3].with_name("metadata_9.parquet"))
    else:
        files.append(make_files(files[0].parent / "more", sizes=(2,))[0])
    assert open_row_store(files) is None
    assert MetadataTable(files).rows([3])[0]["n"] == 3


@pytest.mark.parametrize("content", [b"", b"ARROW1\0\0 and no more", b"x" * 500])
def test_a_damaged_store_is_not_used(files, content):
    path = write_row_store(MetadataTable(files))
    path.write_bytes(content)
    assert MetadataTable(files).rows([20])[0]["n"] == 20


def test_a_cut_store_is_not_used(files):
    path = write_row_store(MetadataTable(files))
    path.write_bytes(path.read_bytes()[:-200])
    assert open_row_store(files) is None


def test_a_store_that_cannot_be_written_is_our_error(files, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(row_store.pa.ipc, "new_file", full)
    with pytest.raises(FolderError, match="No space left"):
        write_row_store(MetadataTable(files))
    assert [path.name for path in files[0].parent.parent.iterdir()] == ["metadata"]


def test_nothing_to_store():
    assert write_row_store(MetadataTable([])) is None
