import errno
import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from clipworks.data.sources.folder_source import FolderSource
from clipworks.embed import batch_reader, pipeline
from clipworks.embed.embed_settings import EmbedSettings
from clipworks.embed.job import open_job
from clipworks.embed.outcome import EmbedProgress
from clipworks.embed.pipeline import embed_folder
from clipworks.errors import FolderError
from tests.support.colours import ColourEncoder, colour_embedder
from tests.support.folder_bytes import folder_bytes
from tests.support.pictures import BREAKAGES, fill_folder

SETTINGS = EmbedSettings(batch_size=3, partition_size=7, num_workers=2)


@pytest.fixture
def pictures(tmp_path):
    fill_folder(tmp_path / "pictures", 20)
    return tmp_path / "pictures"


def image_rows(out):
    return np.concatenate([np.load(path) for path in sorted((out / "img_emb").iterdir())])


class Death(BaseException):
    """As if the process were gone."""


def test_embeds_every_picture_in_order(pictures, tmp_path):
    embedder = colour_embedder()
    report = embed_folder(pictures, tmp_path / "out", embedder, settings=SETTINGS)
    expected = embedder.embed_images(sorted(pictures.rglob("*.png")))
    assert np.array_equal(image_rows(tmp_path / "out"), expected.astype(np.float16))
    assert (report.samples, report.embedded, report.skipped, report.incomplete) == (20, 20, 0, 0)
    assert (report.partitions, report.partitions_made) == (3, 3)
    assert report.images_per_s > 0


@pytest.mark.parametrize("workers", [1, 3, 8])
def test_the_number_of_workers_changes_nothing(pictures, tmp_path, workers):
    embed_folder(pictures, tmp_path / "one", colour_embedder(), settings=SETTINGS)
    settings = EmbedSettings(batch_size=3, partition_size=7, num_workers=workers, num_encoding=1)
    embed_folder(pictures, tmp_path / "two", colour_embedder(), settings=settings)
    assert folder_bytes(tmp_path / "one") == folder_bytes(tmp_path / "two")


def test_tells_how_far_it_is_in_the_callers_thread(pictures, tmp_path):
    BREAKAGES["empty"](pictures / "broken.png")
    told = []

    def tell(progress):
        assert threading.current_thread() is threading.main_thread()
        told.append(progress)

    embed_folder(pictures, tmp_path / "out", colour_embedder(), settings=SETTINGS, report=tell)
    assert told[0] == EmbedProgress(done=0, total=21, skipped=0)
    assert told[-1] == EmbedProgress(done=21, total=21, skipped=1)
    assert [p.done for p in told] == sorted(p.done for p in told)


def test_a_finished_folder_is_left_alone(pictures, tmp_path):
    out = tmp_path / "out"
    embed_folder(pictures, out, colour_embedder(), settings=SETTINGS)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    report = embed_folder(pictures, out, colour_embedder(), settings=SETTINGS)
    assert (report.embedded, report.partitions_made, report.images_per_s) == (20, 0, 0.0)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_death_at_any_rename_costs_only_partitions_in_flight(pictures, tmp_path, monkeypatch):
    (pictures / "0000.txt").write_text("a red photo")
    BREAKAGES["empty"](pictures / "broken.png")
    embedder = colour_embedder()
    embed_folder(pictures, tmp_path / "whole", embedder, settings=SETTINGS)
    whole = folder_bytes(tmp_path / "whole")
    renames = len(whole)
    for deadly in range(1, renames + 1):
        out = tmp_path / f"out_{deadly}"
        with monkeypatch.context() as patch:
            _die_at_rename(patch, deadly)
            with pytest.raises(Death):
                embed_folder(pictures, out, embedder, settings=SETTINGS)
        done = len(list((out / "stats").glob("*.json"))) if out.exists() else 0
        report = embed_folder(pictures, out, embedder, settings=SETTINGS)
        assert report.partitions_made == 3 - done
        assert folder_bytes(out) == whole


def _die_at_rename(patch, deadly):
    rename, count, lock = Path.replace, 0, threading.Lock()

    def replace(self, target):
        nonlocal count
        with lock:
            count += 1
            if count >= deadly:
                raise Death
        return rename(self, target)

    patch.setattr(Path, "replace", replace)


def test_a_full_disk_ends_the_run_in_one_line_and_a_rerun_completes_it(
    pictures, tmp_path, monkeypatch
):
    embed_folder(pictures, tmp_path / "whole", colour_embedder(), settings=SETTINGS)
    write = Path.write_bytes

    def fill_up(self, content):
        if "metadata_1" in self.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fill_up)
        with pytest.raises(FolderError, match="out cannot be written: No space left on device"):
            embed_folder(pictures, tmp_path / "out", colour_embedder(), settings=SETTINGS)
    embed_folder(pictures, tmp_path / "out", colour_embedder(), settings=SETTINGS)
    assert folder_bytes(tmp_path / "out") == folder_bytes(tmp_path / "whole")


def test_what_the_model_raises_ends_the_run_and_its_threads(pictures, tmp_path, monkeypatch):
    def fail(self, pixels):
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(ColourEncoder, "encode_images", fail)
        with pytest.raises(RuntimeError, match="out of memory"):
            embed_folder(pictures, tmp_path / "out", colour_embedder(), settings=SETTINGS)
    assert not [t for t in threading.enumerate() if t.name.startswith("embed")]
    embed_folder(pictures, tmp_path / "out", colour_embedder(), settings=SETTINGS)


def test_an_interrupt_stops_the_threads_before_the_folder_is_let_go(pictures, tmp_path):
    out = tmp_path / "out"

    def interrupt(progress):
        if progress.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_folder(pictures, out, colour_embedder(), settings=SETTINGS, report=interrupt)
    assert not [t for t in threading.enumerate() if t.name.startswith("embed")]
    assert not (out / ".lock").exists()


def test_one_worker_reads_while_another_is_in_the_model(pictures, tmp_path, monkeypatch):
    """The first pass through the model lasts until somebody begins to read."""
    embedder = colour_embedder()
    read, encode = batch_reader.decode_image, ColourEncoder.encode_images
    first, read_begun = threading.Semaphore(1), threading.Event()

    def read_and_tell(source, **options):
        read_begun.set()
        return read(source, **options)

    def encode_and_wait(self, pixels):
        if first.acquire(blocking=False):
            read_begun.clear()
            assert read_begun.wait(30)
        return encode(self, pixels)

    monkeypatch.setattr(batch_reader, "decode_image", read_and_tell)
    monkeypatch.setattr(ColourEncoder, "encode_images", encode_and_wait)
    embed_folder(pictures, tmp_path / "out", embedder, settings=SETTINGS)


def test_one_worker_writes_while_another_is_in_the_model(pictures, tmp_path, monkeypatch):
    """The first partition's writing lasts until somebody has come through the model."""
    write, encode = pipeline.write_partition, ColourEncoder.encode_images
    encoded = threading.Event()

    def encode_and_tell(self, pixels):
        rows = encode(self, pixels)
        encoded.set()
        return rows

    def write_and_wait(files, *rest):
        if files.number == 0:
            encoded.clear()
            assert encoded.wait(30)
        write(files, *rest)

    monkeypatch.setattr(ColourEncoder, "encode_images", encode_and_tell)
    monkeypatch.setattr(pipeline, "write_partition", write_and_wait)
    embed_folder(pictures, tmp_path / "out", colour_embedder(), settings=SETTINGS)


def test_goes_on_where_another_run_stopped(pictures, tmp_path):
    out = tmp_path / "out"
    embed_folder(pictures, out, colour_embedder(), settings=SETTINGS)
    whole = folder_bytes(out)
    (out / "stats/1.json").unlink()
    (out / "img_emb/img_emb_1.npy").write_bytes(b"half")
    told = []
    report = embed_folder(pictures, out, colour_embedder(), settings=SETTINGS, report=told.append)
    assert (report.partitions_made, report.embedded) == (1, 20)
    assert told[0].done == 13
    assert folder_bytes(out) == whole


def test_a_damaged_record_is_named(pictures, tmp_path):
    embed_folder(pictures, tmp_path / "out", colour_embedder(), settings=SETTINGS)
    (tmp_path / "out/stats/1.json").write_text(json.dumps({"sample_count": 3}))
    with pytest.raises(FolderError, match=r"stats/1\.json is damaged .* delete it"):
        embed_folder(pictures, tmp_path / "out", colour_embedder(), settings=SETTINGS)


def test_the_second_run_is_refused_while_the_first_one_works(pictures, tmp_path):
    source = FolderSource(pictures, partition_size=SETTINGS.partition_size)
    with (
        open_job(source, tmp_path / "out", colour_embedder().card, SETTINGS),
        pytest.raises(FolderError, match="in use"),
    ):
        embed_folder(pictures, tmp_path / "out", colour_embedder(), settings=SETTINGS)
