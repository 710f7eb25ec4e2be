"""`clipworks embed` in several processes: shards, workers, decoders, and what they end with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from clipworks.cli.embed import embed
from clipworks.data.embedding_folder import read_manifest
from clipworks.data.stored_rows import open_stored_rows
from clipworks.errors import FolderError, SettingsError
from tests.support.commands import run
from tests.support.folder_bytes import folder_bytes
from tests.support.pictures import BREAKAGES, fill_folder

COMMAND = [sys.executable, "-m", "clipworks", "embed"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for number, path in enumerate(fill_folder(folder, 50)):
        if number % 3:
            path.with_suffix(".txt").write_text(f"a red square {number}")
    BREAKAGES["text"](folder / "a/broken.jpg")
    return folder


@pytest.fixture(scope="module")
def options(tiny_bundle_folder):
    return ["--model", str(tiny_bundle_folder), "--partition-size", "5", "--batch-size", "2"]


@pytest.fixture(scope="module")
def whole(pictures, tmp_path_factory, options):
    out = tmp_path_factory.mktemp("whole") / "out"
    run(embed, pictures, "--out", out, *options)
    return folder_bytes(out)


def start(pictures, out, *arguments):
    return subprocess.Popen(
        [*COMMAND, str(pictures), "--out", str(out), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_shards_make_one_folder_at_the_same_time(pictures, tmp_path, options, whole):
    out = tmp_path / "out"
    shards = [start(pictures, out, *options, "--shard", f"{k}/3", "--json") for k in range(3)]
    for shard in shards:
        stdout, stderr = shard.communicate(timeout=120)
        assert shard.returncode == 0, stderr
        assert json.loads(stdout)["partitions_made"] in (3, 4)
    assert folder_bytes(out) == whole
    closing = run(embed, pictures, "--out", out, *options).stdout
    assert closing.endswith("is complete already: 50 embedded, 1 skipped (see errors/)\n")


def test_a_shard_alone_says_what_is_missing(pictures, tmp_path, options):
    arguments = (embed, pictures, "--out", tmp_path / "out", *options, "--shard", "1/3")
    assert "; 7 of 11 partitions are missing, which other shards make; " in run(*arguments).stdout
    assert "has none of this shard left" in run(*arguments).stdout
    with pytest.raises(SettingsError, match="expected K/N"):
        run(*arguments[:-1], "3/3")


def test_a_shard_that_runs_already_is_refused(pictures, tmp_path, options):
    out = tmp_path / "out"
    first = start(pictures, out, *options, "--shard", "0/2")
    deadline = time.monotonic() + 60
    while not (out / ".lock.0-of-2").exists() and first.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGSTOP)
    try:
        with pytest.raises(FolderError, match="in use"):
            run(embed, pictures, "--out", out, *options, "--shard", "0/2")
        with pytest.raises(FolderError, match="in use"):
            run(embed, pictures, "--out", out, *options)
    finally:
        os.kill(first.pid, signal.SIGCONT)
        _, stderr = first.communicate(timeout=120)
        assert first.returncode == 0, stderr


@pytest.mark.parametrize("how", [("--num-tasks", "2"), ("--decoders", "1")])
def test_processes_make_the_bytes_that_threads_make(pictures, tmp_path, options, whole, how):
    result = run(embed, pictures, "--out", tmp_path / "out", *options, *how, "--profile")
    assert "50 embedded, 1 skipped" in result.stdout
    assert " bounds the run: " in result.stdout
    assert folder_bytes(tmp_path / "out") == whole


@pytest.mark.parametrize("how", [("--num-tasks", "2"), ("--decoders", "1")])
def test_a_killed_driver_takes_its_processes_along(pictures, tmp_path, options, whole, how):
    out = tmp_path / "out"
    driver = start(pictures, out, *options, *how)
    deadline = time.monotonic() + 60
    while not list(out.glob("stats/*.json")) and driver.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    group = children_of(driver.pid)
    driver.kill()
    driver.communicate()
    while any(is_alive(pid) for pid in group):
        assert time.monotonic() < deadline, "a process outlives its driver"
        time.sleep(0.05)
    run(embed, pictures, "--out", out, *options)
    assert folder_bytes(out) == whole


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as stream:  # noqa: PTH123 - not a file on disk
        return [int(child) for child in stream.read().split()]


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stream:  # noqa: PTH123 - not a file on disk
            return stream.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_is_kept_stands_in_the_manifest(pictures, tmp_path, options):
    out = tmp_path / "out"
    result = run(embed, pictures, "--out", out, *options, "--store", "int8", "--dim", "8")
    assert "--dim: only models that were trained for it" in result.stderr
    manifest = read_manifest(out)
    assert (manifest.settings["store"], manifest.settings["dim"], manifest.embedding_dim) == (
        "int8",
        8,
        8,
    )
    assert np.load(out / "img_emb/img_emb_00.npy").dtype == np.int8
    assert open_stored_rows(out / "img_emb/img_emb_00.npy").shape == (5, 8)


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["ray", "spark"])
def test_an_executor_starts_and_ends_by_itself(pictures, tmp_path, options, whole, executor):
    arguments = ["--executor", executor, "--num-tasks", "2", "--json"]
    command = start(pictures, tmp_path / "out", *options, *arguments)
    stdout, stderr = command.communicate(timeout=280)
    assert command.returncode == 0, stderr
    assert json.loads(stdout)["embedded"] == 50  # nothing but the report is on stdout
    assert folder_bytes(tmp_path / "out") == whole
