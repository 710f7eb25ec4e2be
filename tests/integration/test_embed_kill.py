"""Killed at any moment, a run loses nothing but the partitions in flight."""

from __future__ import annotations

import multiprocessing
import random
import time

import pytest

from clipworks.embed.embed_settings import EmbedSettings
from clipworks.embed.pipeline import embed_folder
from tests.support.colours import colour_embedder
from tests.support.folder_bytes import folder_bytes
from tests.support.pictures import BREAKAGES, fill_folder

SETTINGS = EmbedSettings(batch_size=4, partition_size=8, num_workers=2)
WITH_DECODERS = EmbedSettings(batch_size=4, partition_size=8, num_workers=2, num_decoders=1)
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["clipworks.embed.pipeline", "tests.support.colours"])


def run(pictures, out, begun=None, settings=SETTINGS):
    embedder = colour_embedder()
    if begun:
        begun.set()
    return embed_folder(pictures, out, embedder, settings=settings)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for number, path in enumerate(fill_folder(folder, 150)):
        if number % 3:
            path.with_suffix(".txt").write_text(f"a red photo {number}")
        if number % 5:
            path.with_suffix(".json").write_text(f'{{"number": {number}}}')
    for name, break_it in BREAKAGES.items():
        break_it(folder / f"a/{name}.jpg")
    return folder


@pytest.fixture(scope="module")
def whole(pictures, tmp_path_factory):
    """The folder of an undisturbed run, and the seconds that a run in a process takes."""
    out = tmp_path_factory.mktemp("whole") / "out"
    begun = PROCESSES.Event()
    process = PROCESSES.Process(target=run, args=(pictures, out, begun))
    process.start()
    assert begun.wait(60)
    begin = time.perf_counter()
    process.join()
    assert process.exitcode == 0
    return folder_bytes(out), time.perf_counter() - begin


def kill_and_rerun(pictures, out, whole, moment, settings=SETTINGS):
    """Whether the kill hit a run that had begun a partition and was not done."""
    expected, seconds = whole
    begun = PROCESSES.Event()
    process = PROCESSES.Process(target=run, args=(pictures, out, begun, settings))
    process.start()
    assert begun.wait(60)
    time.sleep(moment * seconds)
    process.kill()
    process.join()
    killed = process.exitcode == -9
    stray = list(out.rglob(".*")) if out.exists() else []
    done = len(list((out / "stats").glob("*.json"))) if out.exists() else 0
    report = run(pictures, out, settings=settings)
    assert report.partitions_made == report.partitions - done
    assert folder_bytes(out) == expected
    return killed and bool(stray)


@pytest.mark.parametrize("seed", range(6))
def test_a_kill_changes_nothing(pictures, tmp_path, whole, seed):
    moment = (seed + random.Random(seed).random()) / 6  # somewhere in each sixth of the run
    kill_and_rerun(pictures, tmp_path / "out", whole, moment)


@pytest.mark.parametrize("seed", range(2))
def test_a_kill_of_a_run_with_decoders_changes_nothing(pictures, tmp_path, whole, seed):
    moment = 0.5 + seed  # the decoders take a while to start
    kill_and_rerun(pictures, tmp_path / "out", whole, moment, WITH_DECODERS)


@pytest.mark.slow
def test_many_kills_change_nothing(pictures, tmp_path, whole):
    moments = [random.Random(seed).random() for seed in range(100, 140)]
    hits = [
        kill_and_rerun(pictures, tmp_path / f"out_{n}", whole, moment)
        for n, moment in enumerate(moments)
    ]
    assert sum(hits) >= 20  # a test that always comes too late proves nothing
    moments = [3 * random.Random(seed).random() for seed in range(200, 220)]
    hits = [
        kill_and_rerun(pictures, tmp_path / f"out_d{n}", whole, moment, WITH_DECODERS)
        for n, moment in enumerate(moments)
    ]
    assert sum(hits) >= 5


def test_kills_one_after_the_other_change_nothing(pictures, tmp_path, whole):
    expected, seconds = whole
    for seed in range(4):
        process = PROCESSES.Process(target=run, args=(pictures, tmp_path / "out"))
        process.start()
        time.sleep(random.Random(seed).uniform(0.1, 0.5) * seconds)
        process.kill()
        process.join()
    run(pictures, tmp_path / "out")
    assert folder_bytes(tmp_path / "out") == expected
