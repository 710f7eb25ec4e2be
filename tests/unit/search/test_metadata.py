import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipworks.errors import FolderError
from clipworks.search import parquet_rows
from clipworks.search.metadata import MetadataTable


def write(path, start, count, row_group_size):
    table = pa.table(
        {"n": np.arange(start, start + count), "word": [f"w{i}" for i in range(count)]}
    )
    pq.write_table(table, path, row_group_size=row_group_size)
    return path


@pytest.fixture
def table(tmp_path):
    """Three files of 7, 0 and 5 rows, in row groups of at most 3."""
    sizes, start, files = [7, 0, 5], 0, []
    for number, size in enumerate(sizes):
        files.append(write(tmp_path / f"{number}.parquet", start, size, 3))
        start += size
    return MetadataTable(files)


def test_rows_come_in_the_order_asked_for(table):
    assert table.size == 12
    assert table.file_sizes == [7, 0, 5]
    assert [row["n"] for row in table.rows([11, 0, 7, 6, 3])] == [11, 0, 7, 6, 3]
    assert table.rows([8])[0] == {"n": 8, "word": "w1"}


def test_every_row_can_be_had_alone_and_all_at_once(table):
    assert [table.rows([i])[0]["n"] for i in range(12)] == list(range(12))
    assert [row["n"] for row in table.rows(range(12))] == list(range(12))
    assert table.rows([]) == []


def test_a_row_asked_for_twice_comes_twice(table):
    assert [row["n"] for row in table.rows([4, 4])] == [4, 4]


def test_only_the_row_groups_that_are_needed_are_read(table, monkeypatch):
    read = []
    whole = parquet_rows._read_group
    monkeypatch.setattr(parquet_rows, "_read_group", lambda g: (read.append(g.number), whole(g))[1])
    table.rows([0, 1, 2])
    assert read == [0]


def test_no_files_is_an_empty_table():
    assert MetadataTable([]).size == 0


@pytest.mark.parametrize("content", [b"", b"PAR1 no more than this", b"x" * 100])
def test_a_damaged_file_says_so(tmp_path, content):
    path = tmp_path / "metadata_0.parquet"
    path.write_bytes(content)
    with pytest.raises(FolderError, match=r"metadata_0\.parquet is damaged"):
        MetadataTable([path])


def test_a_file_that_goes_missing_says_so(tmp_path):
    path = write(tmp_path / "a.parquet", 0, 3, 3)
    table = MetadataTable([path])
    path.unlink()
    with pytest.raises(FolderError, match=r"a\.parquet is missing"):
        table.rows([1])
