import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq

from clipworks.data.columns import MetadataRow
from clipworks.data.embedding_folder import partition_files
from clipworks.embed.batch_reader import Fault
from clipworks.embed.partition_writer import write_partition
from clipworks.embed.worker import BatchRows
from tests.support.folder_bytes import TIMES, folder_bytes


def batch(start, count, *, faults=(), texts=True):
    rows = np.arange(start, start + count, dtype=np.float16)[:, None] + np.zeros(4, np.float16)
    return BatchRows(
        images=rows,
        texts=-rows if texts else None,
        metadata=[MetadataRow(f"/{n}.png", None, {"n": n}) for n in range(start, start + count)],
        faults=list(faults),
        started=100.0 + start,
        read_s=1.0,
        decode_s=0.5,
        inference_s=2.0,
    )


def test_writes_the_batches_as_one_partition(tmp_path):
    files = partition_files(tmp_path, 3, 12)
    write_partition(files, [batch(0, 2), batch(2, 3)], {"n": "int64"})
    images = np.load(files.image_embeddings)
    assert images.dtype == np.float16
    assert images[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert np.array_equal(np.load(files.text_embeddings), -images)
    table = pq.read_table(files.metadata)
    assert table.column_names == ["image_path", "caption", "n"]
    assert table["n"].to_pylist() == [0, 1, 2, 3, 4]
    record = json.loads(files.stats.read_text())
    assert set(record) == TIMES | {"sample_count", "skipped_count", "incomplete_count"}
    assert record["start_time"] == 100.0
    assert (record["read_duration"], record["inference_duration"]) == (3.0, 4.0)
    assert record["decode_duration"] == 1.0
    assert record["sample_count"] == 5
    assert sorted(folder_bytes(tmp_path)) == [
        "img_emb/img_emb_03.npy",
        "metadata/metadata_03.parquet",
        "stats/03.json",
        "text_emb/text_emb_03.npy",
    ]


def test_faults_are_listed_one_a_line_and_counted(tmp_path):
    files = partition_files(tmp_path, 0, 1)
    faults = [
        Fault("/é\udce9\n.png", "image", "is empty"),
        Fault("/1.png", "caption", "gone"),
        Fault("/1.png", "fields", "gone"),
    ]
    write_partition(files, [batch(0, 2, faults=faults, texts=False)], {})
    lines = files.errors.read_bytes().decode().splitlines()
    assert [Fault(**json.loads(line)) for line in lines] == faults
    assert "é" in lines[0]
    record = json.loads(files.stats.read_text())
    assert (record["skipped_count"], record["incomplete_count"]) == (1, 1)
    assert not files.text_embeddings.exists()


def test_a_partition_without_a_good_picture_has_its_files_all_the_same(tmp_path):
    files = partition_files(tmp_path, 0, 1)
    write_partition(files, [batch(0, 0, faults=[Fault("/a.png", "image", "bad")])], {"n": "int64"})
    assert np.load(files.image_embeddings).shape == (0, 4)
    assert pq.read_table(files.metadata).column_names == ["image_path", "caption", "n"]


def test_the_errors_of_an_earlier_try_do_not_stay(tmp_path):
    files = partition_files(tmp_path, 0, 1)
    write_partition(files, [batch(0, 1, faults=[Fault("/a.png", "image", "bad")])], {})
    assert files.errors.exists()
    write_partition(files, [batch(0, 2)], {})
    assert not files.errors.exists()


def test_texts_alone_have_neither_pictures_nor_paths(tmp_path):
    files = partition_files(tmp_path, 0, 1)
    faults = [Fault("/9.txt", "caption", "has no text"), Fault("/1.txt", "fields", "gone")]
    write_partition(files, [replace(batch(0, 2, faults=faults), images=None)], {"n": "int64"})
    assert not files.image_embeddings.exists()
    assert len(np.load(files.text_embeddings)) == 2
    assert pq.read_table(files.metadata).column_names == ["caption", "n"]
    record = json.loads(files.stats.read_text())
    counts = ("sample_count", "skipped_count", "incomplete_count")
    assert [record[name] for name in counts] == [2, 1, 1]
