"""Two hundred pictures, some of them broken in every way that there is."""

from __future__ import annotations

import json
import os

import numpy as np
import pyarrow.parquet as pq

from clipworks.embed.embed_settings import EmbedSettings
from clipworks.embed.pipeline import embed_folder
from tests.support.colours import colour_embedder
from tests.support.pictures import BREAKAGES, fill_folder


def test_broken_pictures_cost_nothing_but_themselves(tmp_path):
    pictures, out = tmp_path / "pictures", tmp_path / "out"
    good = fill_folder(pictures, 200 - 2 * len(BREAKAGES))
    broken = set()
    for place in ("a", "c"):
        for number, (name, break_it) in enumerate(BREAKAGES.items()):
            path = pictures / place / f"{7 * number:04}_{name}.jpg"
            break_it(path)
            broken.add(str(path))
    embedder = colour_embedder()
    settings = EmbedSettings(batch_size=16, partition_size=64, fast_resize=False)
    report = embed_folder(pictures, out, embedder, settings=settings)
    assert (report.samples, report.embedded, report.skipped) == (200, len(good), len(broken))

    listed = [
        json.loads(line)
        for path in sorted((out / "errors").iterdir())
        for line in path.read_text().splitlines()
    ]
    assert sorted(fault["image_path"] for fault in listed) == sorted(broken)
    for fault in listed:
        assert fault["part"] == "image"
        assert len(fault["reason"]) > 5
        assert "\n" not in fault["reason"]

    rows = np.concatenate([np.load(path) for path in sorted((out / "img_emb").iterdir())])
    assert np.array_equal(rows, embedder.embed_images(good).astype(np.float16))
    tables = [pq.read_table(path) for path in sorted((out / "metadata").iterdir())]
    paths = [path for table in tables for path in table["image_path"].to_pylist()]
    assert paths == [str(path) for path in good]


def test_names_that_are_no_utf8_are_embedded_too(tmp_path):
    (source,) = fill_folder(tmp_path / "pictures", 1)
    odd = source.rename(source.with_stem(os.fsdecode(b"latin\xe9 \"'\n")))
    odd.with_suffix(".txt").write_text("a red photo")
    source.with_stem(os.fsdecode(b"bad\xff")).touch()
    report = embed_folder(tmp_path / "pictures", tmp_path / "out", colour_embedder())
    assert (report.embedded, report.skipped) == (1, 1)
    (row,) = pq.read_table(tmp_path / "out/metadata/metadata_0.parquet").to_pylist()
    assert row["image_path"] == f"{source.parent}/latin\\udce9 \"'\n.png"
    assert row["caption"] == "a red photo"
    (fault,) = (tmp_path / "out/errors/0.jsonl").read_text().splitlines()
    assert os.fsencode(json.loads(fault)["image_path"]).endswith(b"/bad\xff.png")
