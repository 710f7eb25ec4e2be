import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipworks.data import parquet_cells
from clipworks.data.parquet_cells import read_cell, read_rows
from clipworks.errors import InputError

ROWS = [{"n": n, "b": bytes([n]), "s": {"bytes": bytes([n, n]), "path": f"{n}"}} for n in range(90)]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=7)
    return str(path)


@pytest.mark.parametrize("order", ["forwards", "backwards", "shuffled", "every_third"])
def test_reads_stretches_of_rows_in_any_order(table, order):
    stretches = [(start, min(90, start + 4)) for start in range(0, 90, 4)]
    if order == "backwards":
        stretches.reverse()
    elif order == "shuffled":
        random.Random(0).shuffle(stretches)
    elif order == "every_third":
        stretches = stretches[::3]
    for start, stop in stretches:
        assert list(read_rows(table, ["n", "s", "b"], start=start, stop=stop)) == ROWS[start:stop]


def test_a_row_group_is_unpacked_once_by_who_reads_on(table, monkeypatch):
    opened = []
    cursor = parquet_cells._Cursor

    def count(*arguments):
        opened.append(arguments)
        return cursor(*arguments)

    monkeypatch.setattr(parquet_cells, "_Cursor", count)
    for start in range(0, 90, 2):
        list(read_rows(table, ["n"], start=start, stop=start + 2))
    assert len(opened) == 1


def test_a_stretch_that_is_left_early_leaves_nothing_open(table):
    begun = read_rows(table, ["n"], start=0, stop=5)
    next(begun)
    begun.close()
    assert [row["n"] for row in read_rows(table, ["n"], start=0, stop=3)] == [0, 1, 2]


@pytest.mark.parametrize("row", [0, 6, 7, 89])
def test_reads_one_cell(table, row):
    assert read_cell(table, "b", row) == bytes([row])
    assert read_cell(table, "s", row) == bytes([row, row])


def test_a_cell_that_is_not_there_says_so(table):
    with pytest.raises(InputError, match="has no cell in column 'b' and row 90"):
        read_cell(table, "b", 90)
    with pytest.raises(InputError, match="has no cell in column 'x'"):
        read_cell(table, "x", 0)
    with pytest.raises(InputError, match="holds no bytes"):
        read_cell(table, "n", 0)


def test_texts_that_are_no_utf8_are_kept(tmp_path):
    texts = pa.array([b"caf\xe9", None, "é".encode()]).view(pa.binary())
    table = pa.table({"t": pa.Array.from_buffers(pa.string(), 3, texts.buffers())})
    pq.write_table(table, tmp_path / "a.parquet")
    rows = read_rows(str(tmp_path / "a.parquet"), ["t"], start=0, stop=3)
    assert [row["t"] for row in rows] == ["caf\udce9", None, "é"]


@pytest.mark.parametrize("content", [b"", b"nothing", b"PAR1" + b"x" * 100 + b"PAR1"])
def test_what_is_no_parquet_file_is_one_line(tmp_path, content):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(InputError, match="is no parquet file, or damaged") as caught:
        list(read_rows(str(tmp_path / "a.parquet"), ["n"], start=0, stop=1))
    assert "\n" not in str(caught.value)
