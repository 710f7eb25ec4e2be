"""What every source does, whatever its kind."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow.parquet as pq
import pytest

from clipworks.data.contents import Location, read_content
from clipworks.data.samples import read_caption, read_fields
from clipworks.embed.embed_settings import EmbedSettings
from clipworks.embed.pipeline import embed_folder
from tests.support.colours import colour_embedder
from tests.support.folder_bytes import folder_bytes
from tests.support.pictures import png_bytes
from tests.support.sources import (
    PICTURE_SOURCES,
    WITHOUT_CAPTIONS,
    Workshop,
    items,
    open_built,
)
from tests.support.web_server import web_server

COUNT = 8
SETTINGS = EmbedSettings(batch_size=2, partition_size=3, num_workers=2)


@pytest.fixture(scope="module")
def server():
    with web_server() as running:
        yield running


@pytest.fixture(params=PICTURE_SOURCES)
def kind(request):
    return request.param


@pytest.fixture
def build(kind, tmp_path, server, monkeypatch):
    """Build the source of some pictures' files, and say what to type for it."""
    shop = Workshop(tmp_path, server, monkeypatch)
    return lambda contents: PICTURE_SOURCES[kind](shop, items(contents))


def pictures(count=COUNT):
    return [png_bytes(number) for number in range(count)]


def partitions(source):
    return [source.partition(number) for number in range(source.num_partitions)]


def read(source):
    return [list(partition.samples()) for partition in partitions(source)]


def test_gives_all_samples_in_order_with_captions_and_fields(build, kind):
    source = open_built(build(pictures()))
    samples = [sample for part in read(source) for sample in part]
    assert [read_content(sample.image) for sample in samples] == pictures()
    assert source.num_partitions > 1
    assert source.num_samples in (None, COUNT)
    assert source.has_images
    assert source.has_captions == (kind not in WITHOUT_CAPTIONS)
    if source.has_captions:
        expected = [item.caption for item in items(pictures())]
        assert [read_caption(sample.caption) for sample in samples] == expected
        assert [read_fields(sample.fields)["number"] for sample in samples] in (
            list(range(COUNT)),
            [str(number) for number in range(COUNT)],  # CSV, whose columns say what is a number
        )


def test_gives_the_same_samples_every_time(build):
    typed = build(pictures())
    first, second = open_built(typed), open_built(typed)
    assert read(first) == read(first) == read(second)


def test_a_partition_is_the_same_alone_and_whatever_was_read_before(build):
    typed = build(pictures())
    whole = read(open_built(typed))
    for number in reversed(range(len(whole))):
        assert list(open_built(typed).partition(number).samples()) == whole[number]
    source = open_built(typed)
    for number in reversed(range(len(whole))):
        assert list(source.partition(number).samples()) == whole[number]
    assert [part.number for part in partitions(source)] == list(range(len(whole)))


def test_a_partition_that_was_pickled_gives_the_same(build):
    source = open_built(build(pictures()))
    for partition in partitions(source):
        copy = pickle.loads(pickle.dumps(partition))
        assert copy.number == partition.number
        assert list(copy.samples()) == list(partition.samples())


def test_a_partition_that_is_left_halfway_can_be_read_again(build):
    source = open_built(build(pictures()))
    whole = read(source)
    for number, partition in enumerate(partitions(source)):
        begun = partition.samples()
        next(begun, None)
        del begun
        assert list(partition.samples()) == whole[number]


def test_the_digest_changes_with_the_samples_and_not_otherwise(build):
    digest = open_built(build(pictures())).digest
    assert open_built(build(pictures())).digest == digest
    other = open_built(build(pictures(COUNT - 2)))
    assert other.digest != digest


def test_names_differ_and_lead_back_to_the_pictures(build, kind):
    samples = [sample for part in read(open_built(build(pictures()))) for sample in part]
    names = [sample.name for sample in samples]
    assert len(set(names)) == COUNT
    assert [read_content(Location(name)) for name in names] == pictures()


def test_rows_are_the_same_from_every_source(build, kind, tmp_path):
    typed = build(pictures())
    embedder = colour_embedder()
    report = embed_folder(open_built(typed), tmp_path / "out", embedder, settings=SETTINGS)
    assert (report.samples, report.embedded, report.skipped) == (COUNT, COUNT, 0)
    files = sorted((tmp_path / "out/img_emb").iterdir())
    rows = np.concatenate([np.load(path) for path in files])
    assert np.array_equal(rows, embedder.embed_images(pictures()).astype(np.float16))
    table = pq.read_table(tmp_path / "out/metadata").to_pydict()
    if kind in WITHOUT_CAPTIONS:
        assert table["caption"] == [None] * COUNT
        assert not (tmp_path / "out/text_emb").exists()
    else:
        assert table["caption"] == [item.caption for item in items(pictures())]
        assert table["number"] == list(range(COUNT))
        texts = embedder.embed_texts(table["caption"]).astype(np.float16)
        files = sorted((tmp_path / "out/text_emb").iterdir())
        assert np.array_equal(np.concatenate([np.load(path) for path in files]), texts)


def test_a_run_goes_on_where_another_one_stopped(build, tmp_path):
    typed, out = build(pictures()), tmp_path / "out"
    embed_folder(open_built(typed), out, colour_embedder(), settings=SETTINGS)
    whole = folder_bytes(out)
    for name in ("stats/1.json", "metadata/metadata_1.parquet"):
        (out / name).unlink()
    report = embed_folder(open_built(typed), out, colour_embedder(), settings=SETTINGS)
    assert report.partitions_made == 1
    assert folder_bytes(out) == whole


def test_a_broken_picture_costs_itself_and_is_reported(build, tmp_path):
    contents = pictures()
    contents[4] = b"not a picture"
    source = open_built(build(contents))
    name = [sample.name for part in read(source) for sample in part][4]
    report = embed_folder(source, tmp_path / "out", colour_embedder(), settings=SETTINGS)
    assert (report.embedded, report.skipped) == (COUNT - 1, 1)
    (line,) = [
        line
        for path in (tmp_path / "out/errors").iterdir()
        for line in path.read_text().splitlines()
    ]
    assert "is not a picture" in line
    assert name.rsplit("/", 1)[-1] in line


def test_pictures_alone_and_texts_alone(build, kind, tmp_path):
    typed = build(pictures())
    image = open_built(typed, modality="image")
    embed_folder(image, tmp_path / "image", colour_embedder(), settings=SETTINGS)
    assert not (tmp_path / "image/text_emb").exists()
    if kind in WITHOUT_CAPTIONS:
        return
    text = open_built(typed, modality="text")
    assert (text.has_images, text.has_captions) == (False, True)
    report = embed_folder(text, tmp_path / "text", colour_embedder(), settings=SETTINGS)
    assert (report.embedded, report.skipped) == (COUNT, 0)
    assert not (tmp_path / "text/img_emb").exists()
    table = pq.read_table(tmp_path / "text/metadata").to_pydict()
    assert "image_path" not in table
    assert table["caption"] == [item.caption for item in items(pictures())]
