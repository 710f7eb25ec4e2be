import datetime
import decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipworks.data.columns import MetadataRow, metadata_table
from clipworks.data.contents import Unreadable
from clipworks.data.sources.opening import open_source
from clipworks.data.sources.parquet_source import plan_rows
from clipworks.data.sources.source_options import SourceOptions
from clipworks.errors import SettingsError
from tests.support.pictures import png_bytes


def write(path, rows, **options):
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path, **options)
    return path


def samples(source):
    return [s for n in range(source.num_partitions) for s in source.partition(n).samples()]


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_partitions_cover_all_rows_whatever_the_files(size):
    files = [("/a", 5), ("/b", 0), ("/c", 9), ("/d", 1)]
    plan = plan_rows(files, SourceOptions(partition_size=size))
    counts = [sum(part.stop - part.start for part in parts) for parts in plan]
    assert counts == [size] * (15 // size) + [15 % size] * bool(15 % size)
    rows = [(p.url, n) for parts in plan for p in parts for n in range(p.start, p.stop)]
    assert rows == [(url, n) for url, count in files for n in range(count)]


def test_parquet_input_carries_all_other_columns_through(tmp_path):
    """clip-retrieval #393."""
    row = {
        "image": png_bytes(), "caption": "c", "width": 5, "score": 0.5, "safe": True,
        "when": datetime.datetime(2026, 1, 2), "price": decimal.Decimal("1.50"),
        "tags": ["a", "b"], "size": {"w": 1, "deep": {"h": None}}, "thumbnail": b"x",
        "big": 2**40,
    }  # fmt: skip
    said = []
    source = open_source([write(tmp_path / "a.parquet", [row])], say=said.append)
    assert source.columns == {
        "width": "int64", "score": "double", "safe": "bool", "when": "string",
        "price": "string", "tags": "string", "size.w": "int64", "size.deep.h": "string",
        "big": "int64",
    }  # fmt: skip
    assert said[1] == "columns of bytes that are left out: thumbnail"
    (sample,) = samples(source)
    table = metadata_table(
        [MetadataRow(sample.name, sample.caption, sample.fields)], source.columns
    )
    assert table.to_pylist() == [
        {
            "image_path": f"parquet://image/0::{tmp_path}/a.parquet", "caption": "c", "width": 5,
            "score": 0.5, "safe": True, "when": '"2026-01-02 00:00:00"', "price": '"1.50"',
            "tags": '["a", "b"]', "size.w": 1, "size.deep.h": None, "big": 2**40,
        }
    ]  # fmt: skip


def test_one_schema_holds_for_tables_that_differ(tmp_path):
    write(tmp_path / "t/a.parquet", [{"path": "a.png", "x": 1, "only_here": "y"}])
    write(tmp_path / "t/b.parquet", [{"path": "b.png", "x": 1.5}])
    source = open_source([tmp_path / "t"])
    assert source.columns == {"x": "double", "only_here": "string"}


def test_a_column_that_one_table_lacks_is_named(tmp_path):
    write(tmp_path / "t/a.parquet", [{"path": "a.png"}])
    write(tmp_path / "t/b.parquet", [{"file": "b.png"}])
    with pytest.raises(SettingsError, match=r"b\.parquet has no column 'path'.*there are 'file'"):
        open_source([tmp_path / "t"])


def test_a_row_without_a_picture_is_a_sample_without_one(tmp_path):
    path = write(tmp_path / "a.parquet", [{"path": None, "text": "t"}, {"path": "x", "text": None}])
    first, second = samples(open_source([path]))
    assert (first.image, first.caption) == (None, "t")
    assert second.caption is None


def test_a_damaged_row_group_costs_its_rows_and_no_others(tmp_path):
    rows = [{"path": f"{n}.png", "text": f"{n}" * 500} for n in range(40)]
    path = write(tmp_path / "a.parquet", rows, row_group_size=10, compression="snappy")
    start = pq.ParquetFile(path).metadata.row_group(2).column(1).dictionary_page_offset
    raw = bytearray(path.read_bytes())
    raw[start : start + 200] = b"\xff" * 200
    path.write_bytes(raw)
    source = open_source([path], SourceOptions(partition_size=10))
    found = samples(source)
    (bad,) = [sample for sample in found if isinstance(sample.image, Unreadable)]
    assert "rows 20 to 29 are lost" in bad.image.reason
    assert len(found) == 31


def test_texts_alone_leave_the_pictures_bytes_unread(tmp_path):
    path = write(tmp_path / "a.parquet", [{"image": png_bytes(), "caption": "c", "n": 1}])
    source = open_source([path], SourceOptions(modality="text", image_column="image"))
    (sample,) = samples(source)
    assert (sample.image, sample.caption, sample.fields) == (None, "c", {"n": 1})
