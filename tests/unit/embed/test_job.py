import importlib
import importlib.util
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from clipworks.data.embedding_folder import write_manifest
from clipworks.data.shard import Shard
from clipworks.data.sources.folder_source import FolderSource
from clipworks.embed import job as job_module
from clipworks.embed.embed_settings import EmbedSettings
from clipworks.embed.job import explaining_storage, open_job
from clipworks.errors import FolderError, MissingExtraError, ModelMismatchError, SettingsError
from tests.support.colours import colour_card
from tests.support.pictures import fill_folder, save


@pytest.fixture
def pictures(tmp_path):
    fill_folder(tmp_path / "pictures", 5)
    return tmp_path / "pictures"


def begin(pictures, out, card=None, **settings):
    settings = EmbedSettings(**{"batch_size": 2, "partition_size": 2, **settings})
    source = FolderSource(pictures, partition_size=settings.partition_size)
    with open_job(source, out, card or colour_card(), settings) as job:
        return job


def test_a_new_folder_gets_its_manifest_and_nothing_else(pictures, tmp_path):
    job = begin(pictures, tmp_path / "deep/out")
    assert job.pending == [0, 1, 2]
    assert job.manifest.num_samples == 5
    assert job.manifest.model == "colours"
    assert job.manifest.source == str(pictures)
    assert [path.name for path in (tmp_path / "deep/out").iterdir()] == ["manifest.json"]
    assert [len(list(job.source.partition(n).samples())) for n in job.pending] == [2, 2, 1]


def test_goes_on_with_what_is_missing(pictures, tmp_path):
    begin(pictures, tmp_path / "out")
    (tmp_path / "out/stats").mkdir()
    (tmp_path / "out/stats/1.json").write_text("{}")
    assert begin(pictures, tmp_path / "out").pending == [0, 2]


def test_other_numbers_of_workers_are_no_other_settings(pictures, tmp_path):
    begin(pictures, tmp_path / "out", num_workers=1)
    begin(pictures, tmp_path / "out", num_workers=3, num_encoding=1)


def test_an_open_batch_size_is_the_best_one_or_the_one_that_the_folder_was_begun_with(
    pictures, tmp_path
):
    source, settings = FolderSource(pictures, partition_size=2), EmbedSettings(partition_size=2)
    for folder, best, expected in (("a", 5, 5), ("a", 7, 5), ("b", 7, 7)):
        with open_job(
            source, tmp_path / folder, colour_card(), settings, best_batch_size=best
        ) as job:
            assert job.settings.batch_size == expected
            assert job.manifest.settings["batch_size"] == expected
    with pytest.raises(SettingsError, match="begun with batch_size 5, not 2"):
        begin(pictures, tmp_path / "a")


@pytest.mark.parametrize("is_installed", [True, False])
def test_an_open_way_of_resizing_is_the_fast_one_where_there_is_one(
    pictures, tmp_path, monkeypatch, is_installed
):
    monkeypatch.setattr(job_module, "has_fast_resizing", lambda: is_installed)
    job = begin(pictures, tmp_path / "out")
    assert job.settings.fast_resize == is_installed
    assert job.manifest.settings["resize"] == ("fast" if is_installed else "exact")


@pytest.mark.parametrize("begun", [True, False])
def test_an_open_way_of_resizing_is_that_of_the_folder(pictures, tmp_path, monkeypatch, begun):
    begin(pictures, tmp_path / "out", fast_resize=begun)
    monkeypatch.setattr(job_module, "has_fast_resizing", lambda: not begun)
    assert begin(pictures, tmp_path / "out").settings.fast_resize == begun
    words = ("fast", "exact") if begun else ("exact", "fast")
    with pytest.raises(SettingsError, match="begun with resize {}, not {}".format(*words)):
        begin(pictures, tmp_path / "out", fast_resize=not begun)


def test_folders_from_before_there_was_a_choice_go_on_as_they_were_begun(pictures, tmp_path):
    manifest = begin(pictures, tmp_path / "out", fast_resize=False).manifest
    before = {name: value for name, value in manifest.settings.items() if name != "resize"}
    write_manifest(tmp_path / "out", replace(manifest, settings=before))
    assert begin(pictures, tmp_path / "out").settings.fast_resize is False


def test_fast_resizing_that_is_not_installed_is_told_at_once(pictures, tmp_path, monkeypatch):
    begin(pictures, tmp_path / "out", fast_resize=True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="pip install cykooz-resizer"):
        begin(pictures, tmp_path / "out")


def test_another_model_is_refused_and_both_are_named(pictures, tmp_path):
    begin(pictures, tmp_path / "out")
    other = colour_card(name="shapes", fingerprint="5a5a")
    message = r"begun with the model colours \(c0105c0105c01050\), not shapes \(5a5a\)"
    with pytest.raises(ModelMismatchError, match=message):
        begin(pictures, tmp_path / "out", other)


@pytest.mark.parametrize("setting", ["batch_size", "partition_size"])
def test_other_settings_are_refused_and_both_are_named(pictures, tmp_path, setting):
    begin(pictures, tmp_path / "out")
    with pytest.raises(SettingsError, match=f"begun with {setting} 2, not 3"):
        begin(pictures, tmp_path / "out", **{setting: 3})


def test_another_modality_is_refused_and_both_are_named(pictures, tmp_path):
    (pictures / "0000.txt").write_text("a text")
    settings = EmbedSettings(batch_size=2, partition_size=2)
    for modality in ("both", "auto"):
        source = FolderSource(pictures, partition_size=2, modality=modality)
        with open_job(source, tmp_path / "out", colour_card(), settings) as job:
            assert job.manifest.settings["modality"] == "both"
    source = FolderSource(pictures, partition_size=2, modality="image")
    with (
        pytest.raises(SettingsError, match="begun with modality both, not image"),
        open_job(source, tmp_path / "out", colour_card(), settings),
    ):
        pass


def test_another_source_is_refused_and_both_are_named(pictures, tmp_path):
    begin(pictures, tmp_path / "out")
    shutil.copytree(pictures, tmp_path / "copy")
    with pytest.raises(SettingsError, match=r"begun from .*/pictures, not .*/copy"):
        begin(tmp_path / "copy", tmp_path / "out")


def test_a_source_that_has_changed_is_refused(pictures, tmp_path):
    begin(pictures, tmp_path / "out")
    save(pictures / "new.png")
    with pytest.raises(SettingsError, match=r"changed since .* \(it had 5 samples, and has 6"):
        begin(pictures, tmp_path / "out")


def test_another_programs_folder_is_refused(pictures, tmp_path):
    (tmp_path / "out/img_emb").mkdir(parents=True)
    with pytest.raises(FolderError, match=r"holds img_emb, but no manifest\.json"):
        begin(pictures, tmp_path / "out")


def test_a_source_without_pictures_leaves_nothing_behind(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FolderError, match="no pictures"):
        begin(tmp_path / "empty", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_run_at_a_time(pictures, tmp_path):
    settings = EmbedSettings()
    source = FolderSource(pictures, partition_size=settings.partition_size)
    with (
        open_job(source, tmp_path / "out", colour_card(), settings),
        pytest.raises(FolderError, match="in use"),
        open_job(source, tmp_path / "out", colour_card(), settings),
    ):
        pass


def test_sweeps_up_what_is_ours_and_nothing_else(pictures, tmp_path):
    begin(pictures, pictures)
    ours = [pictures / "stats/.0.json.1a2b.part", pictures / ".manifest.json.12ab.part"]
    theirs = [pictures / ".download.jpg.part", pictures / "a/.x.part"]
    (pictures / "stats").mkdir()
    for path in ours + theirs:
        path.touch()
    begin(pictures, pictures)
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in theirs)


def test_a_place_that_cannot_be_written_is_one_line(pictures, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match=r"file/out cannot be written: Not a directory"):
        begin(pictures, tmp_path / "file/out")


def test_errors_of_the_caller_are_not_taken_for_the_disks(pictures, tmp_path):
    source = FolderSource(pictures, partition_size=2)
    job = open_job(source, tmp_path / "out", colour_card(), EmbedSettings())
    with pytest.raises(ConnectionError), job:
        raise ConnectionError


def test_heic_pictures_want_their_library_before_any_work(pictures, tmp_path, monkeypatch):
    (pictures / "photo.HEIC").touch()

    def missing(name):
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"pip install 'clipworks\[heif\]'"):
        begin(pictures, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "settings", [{"batch_size": -1}, {"partition_size": 0}, {"num_workers": -1}]
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(SettingsError, match=f"{next(iter(settings))} "):
        EmbedSettings(**settings)


def test_cores_are_shared_out(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    shares = {n: EmbedSettings(num_workers=n).threads_per_batch for n in (0, 1, 4, 8, 20)}
    assert shares == {0: 1, 1: 8, 4: 5, 8: 1, 20: 1}


def test_a_full_disk_is_one_line():
    message = r"^out cannot be written: No space left on device: when that is mended"
    with pytest.raises(FolderError, match=message), explaining_storage(Path("out")):
        raise OSError(28, "No space left on device")


def test_a_shard_has_its_share_and_sweeps_up_no_others(pictures, tmp_path):
    settings = EmbedSettings(batch_size=2, partition_size=1)
    source, out = FolderSource(pictures, partition_size=1), tmp_path / "out"
    with open_job(source, out, colour_card(), settings, shard=Shard(0, 2)) as job:
        assert job.pending == [0, 2, 4]
        (out / "img_emb").mkdir()
        mine, theirs = (out / f"img_emb/.img_emb_{n}.npy.0a1b2c3d.part" for n in (2, 3))
        mine.touch()
        theirs.touch()
        with open_job(source, out, colour_card(), settings, shard=Shard(1, 2)) as other:
            assert other.pending == [1, 3]
        assert (mine.exists(), theirs.exists()) == (True, False)


def test_what_is_kept_decides_and_older_folders_have_halves(pictures, tmp_path):
    job = begin(pictures, tmp_path / "out", store="int8", dim=4)
    assert job.manifest.embedding_dim == 4
    with pytest.raises(SettingsError, match="begun with store int8, not fp16"):
        begin(pictures, tmp_path / "out", dim=4)
    with pytest.raises(SettingsError, match="dim 9: the model gives 8"):
        begin(pictures, tmp_path / "wide", dim=9)
    older = begin(pictures, tmp_path / "older").manifest
    write_manifest(
        tmp_path / "older", replace(older, settings={"batch_size": 2, "partition_size": 2})
    )
    begin(pictures, tmp_path / "older")
    with pytest.raises(SettingsError, match="begun with decode exact, not fast"):
        begin(pictures, tmp_path / "older", fast_decode=True)
