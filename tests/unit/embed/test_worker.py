import threading

import numpy as np
import pytest

from clipworks.data.contents import Location, Unreadable
from clipworks.data.samples import Sample
from clipworks.data.stored_rows import unpack_rows
from clipworks.embed.batch_reader import Fault, SampleDecoder, TextReader, ThreadReader
from clipworks.embed.worker import BatchWorker, RowFormat
from tests.support.colours import DIM, colour_embedder
from tests.support.pictures import BREAKAGES, save


class RecordingEncoder:
    """Notes the shapes that the model is given."""

    def __init__(self, inner):
        self._inner = inner
        self.images, self.texts = [], []

    def encode_images(self, pixels):
        self.images.append(pixels.shape)
        return self._inner.encode_images(pixels)

    def encode_texts(self, tokens):
        self.texts.append(tokens.shape)
        return self._inner.encode_texts(tokens)


@pytest.fixture
def embedder():
    embedder = colour_embedder()
    embedder.encoder = RecordingEncoder(embedder.encoder)
    return embedder


def make_worker(embedder, *, batch_size=4, with_texts=False):
    reader = ThreadReader(SampleDecoder(embedder.card.image), batch_size)
    return BatchWorker(
        embedder, reader, rows=RowFormat(with_texts=with_texts), turnstile=threading.Lock()
    )


def sample_of(path, *beside):
    return Sample(str(path), Location(str(path)), *(Location(str(file)) for file in beside))


def picture(folder, number):
    return sample_of(save(folder / f"{number}.png", number))


def test_rows_are_those_of_the_embedder(tmp_path, embedder):
    samples = [picture(tmp_path, n) for n in range(3)]
    rows = make_worker(embedder).embed(samples)
    expected = embedder.embed_images([s.name for s in samples])
    assert rows.images.dtype == np.float16
    assert np.array_equal(rows.images, expected.astype(np.float16))
    assert rows.texts is None
    assert [row.image_path for row in rows.metadata] == [s.name for s in samples]
    assert rows.faults == []


def test_a_broken_picture_leaves_the_batch_its_size_and_the_others_their_rows(tmp_path, embedder):
    BREAKAGES["text"](tmp_path / "broken.jpg")
    good = [picture(tmp_path, n) for n in range(3)]
    worker = make_worker(embedder)
    whole = worker.embed(good)
    broken = sample_of(tmp_path / "broken.jpg")
    rows = worker.embed([good[0], broken, *good[1:]])
    assert embedder.encoder.images == [(3, 3, 8, 8), (4, 3, 8, 8)]
    assert np.array_equal(rows.images, whole.images)
    assert rows.metadata == whole.metadata
    (fault,) = rows.faults
    assert (fault.image_path, fault.part) == (broken.name, "image")
    assert "is not a picture" in fault.reason
    assert broken.name not in fault.reason
    assert rows.num_skipped == 1


def test_nothing_of_an_earlier_batch_stays_in_a_blank(tmp_path, embedder):
    seen = []
    inner = embedder.encoder.encode_images
    embedder.encoder.encode_images = lambda pixels: seen.append(pixels.copy()) or inner(pixels)
    BREAKAGES["empty"](tmp_path / "broken.jpg")
    worker = make_worker(embedder)
    worker.embed([picture(tmp_path, 0), picture(tmp_path, 1)])
    worker.embed([sample_of(tmp_path / "broken.jpg"), picture(tmp_path, 1)])
    assert not seen[1][0].any()


def test_a_batch_of_broken_pictures_does_not_reach_the_model(tmp_path, embedder):
    BREAKAGES["empty"](tmp_path / "broken.jpg")
    worker = make_worker(embedder, with_texts=True)
    rows = worker.embed([sample_of(tmp_path / "broken.jpg")])
    assert embedder.encoder.images == embedder.encoder.texts == []
    assert rows.images.shape == rows.texts.shape == (0, DIM)


def test_captions_and_fields_stay_with_their_picture(tmp_path, embedder):
    samples = [picture(tmp_path, n) for n in range(4)]
    for number, caption in ((0, "a red photo"), (2, " "), (3, "blue")):
        (tmp_path / f"{number}.txt").write_text(caption)
    (tmp_path / "3.json").write_text('{"id": 3}')
    BREAKAGES["empty"](tmp_path / "broken.jpg")
    (tmp_path / "broken.txt").write_text("a green photo")
    parts = [
        sample_of(samples[0].name, tmp_path / "0.txt"),
        sample_of(tmp_path / "broken.jpg", tmp_path / "broken.txt"),
        samples[1],
        sample_of(samples[2].name, tmp_path / "2.txt"),
        sample_of(samples[3].name, tmp_path / "3.txt", tmp_path / "3.json"),
    ]
    rows = make_worker(embedder, batch_size=5, with_texts=True).embed(parts)
    assert [row.caption for row in rows.metadata] == ["a red photo", None, None, "blue"]
    assert [row.fields for row in rows.metadata] == [{}, {}, {}, {"id": 3}]
    expected = embedder.embed_texts(["a red photo", "blue"]).astype(np.float16)
    assert np.array_equal(rows.texts[[0, 3]], expected)
    assert not rows.texts[[1, 2]].any()
    assert embedder.encoder.texts[0] == (2, 12)


def test_a_caption_that_cannot_be_read_does_not_cost_the_picture(tmp_path, embedder):
    sample = picture(tmp_path, 0)
    (tmp_path / "0.json").write_text("{")
    lost = sample_of(sample.name, tmp_path / "missing.txt", tmp_path / "0.json")
    rows = make_worker(embedder, with_texts=True).embed([lost])
    assert len(rows.images) == 1
    assert rows.num_skipped == 0
    assert [fault.part for fault in rows.faults] == ["caption", "fields"]
    assert rows.faults[0] == Fault(
        sample.name, "caption", "cannot be read: No such file or directory"
    )


def test_a_picture_at_hand_is_the_same_as_one_on_disk(tmp_path, embedder):
    on_disk = picture(tmp_path, 0)
    at_hand = Sample("0", (tmp_path / "0.png").read_bytes())
    without = Sample("1", caption="a text alone")
    rows = make_worker(embedder).embed([on_disk, at_hand, without])
    assert np.array_equal(rows.images[0], rows.images[1])
    assert rows.faults == [Fault("1", "image", "has no picture")]


def test_texts_alone_leave_the_pictures_unread(tmp_path, embedder):
    samples = [
        Sample("1", Location(str(tmp_path / "missing.png")), "a red photo", {"n": 1}),
        Sample("2", b"no picture", " "),
        Sample("3", None, Unreadable("the archive is cut off")),
        Sample("4", caption="blue", fields=b"{"),
    ]
    kept = RowFormat(with_images=False, with_texts=True)
    worker = BatchWorker(embedder, TextReader(), rows=kept, turnstile=threading.Lock())
    rows = worker.embed(samples)
    assert rows.images is None
    assert embedder.encoder.images == []
    expected = embedder.embed_texts(["a red photo", "blue"]).astype(np.float16)
    assert np.array_equal(rows.texts, expected)
    assert [row.caption for row in rows.metadata] == ["a red photo", "blue"]
    assert rows.num_skipped == 2
    assert [(f.image_path, f.part, f.reason) for f in rows.faults[:2]] == [
        ("2", "caption", "has no text"),
        ("3", "caption", "the archive is cut off"),
    ]
    assert (rows.faults[2].image_path, rows.faults[2].part) == ("4", "fields")


def test_the_model_is_entered_through_the_turnstile(tmp_path, embedder):
    turnstile = threading.Lock()
    inner = embedder.encoder.encode_images

    def encode(pixels):
        assert turnstile.locked()
        return inner(pixels)

    embedder.encoder.encode_images = encode
    reader = ThreadReader(SampleDecoder(embedder.card.image), 2)
    worker = BatchWorker(embedder, reader, rows=RowFormat(), turnstile=turnstile)
    worker.embed([picture(tmp_path, 0)])
    assert not turnstile.locked()


def test_rows_are_shortened_and_stored_as_asked(tmp_path, embedder):
    samples = [picture(tmp_path, n) for n in range(3)]
    reader = ThreadReader(SampleDecoder(embedder.card.image), 4)
    worker = BatchWorker(
        embedder.shortened(4),
        reader,
        rows=RowFormat(with_texts=True, store="int8"),
        turnstile=threading.Lock(),
    )
    rows = worker.embed(samples)
    whole = embedder.embed_images([s.name for s in samples])[:, :4]
    expected = whole / np.linalg.norm(whole, axis=1, keepdims=True)
    assert rows.images.dtype == rows.texts.dtype == np.int8
    assert rows.texts.shape == (3, 4)
    assert not rows.texts.any()
    assert np.allclose(unpack_rows(rows.images), expected, atol=0.01)
