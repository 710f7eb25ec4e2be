"""What is written is what clip-retrieval's own readers expect."""

from __future__ import annotations

import json
import math

import numpy as np
import pyarrow.parquet as pq
import pytest

from clipworks.embed.embed_settings import EmbedSettings
from clipworks.embed.pipeline import embed_folder
from clipworks.search.folder_contents import read_contents
from tests.support.colours import DIM, colour_embedder
from tests.support.pictures import BREAKAGES, draw, fill_folder, save

SETTINGS = EmbedSettings(batch_size=4, partition_size=5)


def embed(pictures, out):
    return embed_folder(pictures, out, colour_embedder(), settings=SETTINGS)


def read_as_clip_retrieval(out):
    """Files of a kind in the order of their names, and laid end to end."""
    arrays = {
        kind: np.concatenate([np.load(p) for p in sorted((out / kind).glob("*.npy"))])
        for kind in ("img_emb", "text_emb")
        if (out / kind).is_dir()
    }
    tables = [pq.read_table(p) for p in sorted((out / "metadata").glob("*.parquet"))]
    assert len({str(table.schema) for table in tables}) == 1
    return arrays, [row for table in tables for row in table.to_pylist()]


@pytest.mark.parametrize(("count", "partitions"), [(3, 1), (45, 9), (46, 10), (52, 11)])
def test_numbers_are_padded_as_clip_retrieval_pads_them(tmp_path, count, partitions):
    fill_folder(tmp_path / "pictures", count)
    embed(tmp_path / "pictures", tmp_path / "out")
    digits = int(math.log10(partitions)) + 1
    for kind, suffix in (("img_emb", "npy"), ("metadata", "parquet")):
        names = sorted(path.name for path in (tmp_path / "out" / kind).iterdir())
        assert names == [f"{kind}_{n:0{digits}}.{suffix}" for n in range(partitions)]
    stats = sorted(path.name for path in (tmp_path / "out/stats").iterdir())
    assert stats == [f"{n:0{digits}}.json" for n in range(partitions)]


def test_rows_are_float16_and_of_unit_length(tmp_path):
    fill_folder(tmp_path / "pictures", 12)
    embed(tmp_path / "pictures", tmp_path / "out")
    arrays, rows = read_as_clip_retrieval(tmp_path / "out")
    assert arrays["img_emb"].dtype == np.float16
    assert arrays["img_emb"].shape == (12, DIM)
    assert np.allclose(np.linalg.norm(arrays["img_emb"].astype(np.float32), axis=1), 1, atol=2e-3)
    assert "text_emb" not in arrays
    assert [row["caption"] for row in rows] == [None] * 12


def test_pictures_texts_and_metadata_are_in_step(tmp_path):
    """Captions and fields of some only, a broken picture here and there, one name in two places."""
    pictures = tmp_path / "pictures"
    for number in range(23):
        path = save(pictures / f"{number % 2}" / f"{number // 2}.png", number)
        if number % 3:
            path.with_suffix(".txt").write_text(f"a {'red' if number % 2 else 'blue'} photo\n")
        if number % 4:
            fields = {"number": number, "size": {"w": 16.5 if number == 22 else 16}}
            path.with_suffix(".json").write_text(json.dumps(fields))
    for name in ("text", "cut_png", "dangling"):
        BREAKAGES[name](pictures / f"0/{name}.png")
        (pictures / f"0/{name}.txt").write_text("a green photo")
    report = embed(pictures, tmp_path / "out")
    assert (report.embedded, report.skipped) == (23, 3)

    arrays, rows = read_as_clip_retrieval(tmp_path / "out")
    embedder = colour_embedder()
    assert [row["image_path"] for row in rows] == sorted(row["image_path"] for row in rows)
    assert len(rows) == len(arrays["img_emb"]) == len(arrays["text_emb"]) == 23
    for row, image, text in zip(rows, arrays["img_emb"], arrays["text_emb"], strict=True):
        path = row["image_path"]
        number = int(path.split("/")[-1].split(".")[0]) * 2 + int(path.split("/")[-2])
        expected = embedder.embed_images([draw(number)])[0].astype(np.float16)
        assert np.array_equal(image, expected)
        caption = f"a {'red' if number % 2 else 'blue'} photo" if number % 3 else None
        assert row["caption"] == caption
        expected = embedder.embed_texts([caption])[0] if caption else np.zeros(DIM)
        assert np.array_equal(text, expected.astype(np.float16))
        assert row["number"] == (number if number % 4 else None)
        assert row["size.w"] == ((16.5 if number == 22 else 16.0) if number % 4 else None)


def test_search_reads_it(tmp_path):
    fill_folder(tmp_path / "pictures", 12)
    (tmp_path / "pictures/0000.txt").write_text("a red photo")
    embed(tmp_path / "pictures", tmp_path / "out")
    contents = read_contents(tmp_path / "out")
    assert contents.metadata.size == 12
    assert {name: rows.size for name, rows in contents.rows.items()} == {"image": 12, "text": 12}


def test_the_record_has_clip_retrievals_fields(tmp_path):
    fill_folder(tmp_path / "pictures", 3)
    embed(tmp_path / "pictures", tmp_path / "out")
    record = json.loads((tmp_path / "out/stats/0.json").read_text())
    for name in ("read", "inference", "write", "total"):
        assert record[f"{name}_duration"] >= 0
    assert record["end_time"] >= record["start_time"] > 1.7e9
    assert record["sample_count"] == 3
