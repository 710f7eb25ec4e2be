import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipworks.data.sources.folder_source import FolderSource
from clipworks.data.sources.img2dataset_source import is_img2dataset
from clipworks.data.sources.opening import open_source
from clipworks.data.sources.source_options import SourceOptions
from tests.support.pictures import png_bytes, save
from tests.support.sources import items as make_items
from tests.support.sources import tar_files, write_tar

ROW = {
    "url": "http://x/1", "caption": "c", "key": "000000001", "status": "success",
    "error_message": None, "width": 256, "height": 200, "original_width": 700,
    "original_height": 600, "exif": "{}", "sha256": "ab",
}  # fmt: skip


def write_shard(root, number, rows, *, statistics=True):
    root.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), root / f"{number:05}.parquet")
    if statistics:
        successes = sum(row["status"] == "success" for row in rows)
        text = json.dumps({"count": len(rows), "successes": successes})
        (root / f"{number:05}_stats.json").write_text(text)


def samples(source):
    return [s for n in range(source.num_partitions) for s in source.partition(n).samples()]


FAILED = {**ROW, "status": "failed_to_download", "width": None, "error_message": "404"}


def test_tars_come_with_counts_and_columns_from_the_tables(tmp_path):
    write_shard(tmp_path, 0, [ROW, FAILED])
    write_shard(tmp_path, 1, [ROW])
    for number in range(2):
        write_tar(tmp_path / f"{number:05}.tar", tar_files(make_items([png_bytes()]), **ROW))
    source = open_source([tmp_path])
    assert source.num_samples == 2
    assert source.columns == {
        "url": "string", "key": "string", "status": "string", "error_message": "string",
        "width": "int64", "height": "int64", "original_width": "int64",
        "original_height": "int64", "exif": "string", "sha256": "string",
    }  # fmt: skip
    assert [sample.image for sample in samples(source)] == [png_bytes()] * 2


def test_of_tables_the_failed_downloads_are_no_samples(tmp_path):
    write_shard(tmp_path, 0, [{**ROW, "jpg": png_bytes(1)}, {**FAILED, "jpg": None}] * 3)
    source = open_source([tmp_path], SourceOptions(partition_size=4))
    found = samples(source)
    assert [sample.image for sample in found] == [png_bytes(1)] * 3
    assert {sample.caption for sample in found} == {"c"}
    assert found[0].fields["original_width"] == 700
    assert source.num_samples == 3
    assert source.options["image_column"] == "jpg"


def test_an_unfinished_shard_leaves_the_count_open(tmp_path):
    write_shard(tmp_path, 0, [{**ROW, "jpg": png_bytes(1)}])
    write_shard(tmp_path, 1, [{**ROW, "jpg": png_bytes(1)}], statistics=False)
    assert open_source([tmp_path]).num_samples is None


@pytest.mark.parametrize("kind", [None, "img2dataset"])
def test_its_files_are_a_folder_of_pictures(tmp_path, kind):
    write_shard(tmp_path, 0, [ROW, FAILED])
    save(tmp_path / "00000/000000001.png")
    (tmp_path / "00000/000000001.json").write_text(json.dumps(ROW))
    (tmp_path / "00000/000000001.txt").write_text("c")
    source = open_source([tmp_path], SourceOptions(kind=kind))
    assert isinstance(source, FolderSource)
    assert (source.num_samples, source.has_captions) == (1, True)
    assert source.columns["original_width"] == "int64"


def test_is_told_by_its_statistics():
    assert is_img2dataset(["00000.tar", "00000.parquet", "00000_stats.json"])
    assert is_img2dataset(["s3://b/x/00000.parquet", "s3://b/x/00000_stats.json"])
    assert not is_img2dataset(["00000.tar", "00000.parquet"])
    assert not is_img2dataset(["00000", "00000.parquet", "00000_stats.json"])
    assert not is_img2dataset(["b/00000/1.jpg", "b/00000.parquet", "b/00000_stats.json"])
