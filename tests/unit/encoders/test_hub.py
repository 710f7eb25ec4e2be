"""The real client against a stand-in for the hub."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from huggingface_hub import constants

from clipworks.encoders import hub as client
from clipworks.errors import DownloadError, UnknownModelError
from tests.support.hub_server import FakeHub

WEIGHTS = bytes(range(256)) * 4000
NAME = "org/model"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with FakeHub() as hub:
        hub.connect(monkeypatch, tmp_path / "hub")
        hub.add(NAME, {"config.json": b"{}", "model.bin": WEIGHTS})
        yield hub


def blobs(hub_cache: Path) -> list[Path]:
    return sorted((hub_cache / "models--org--model" / "blobs").iterdir())


def test_a_file_comes_once(hub):
    path = client.fetch_file(NAME, "model.bin")
    assert path.read_bytes() == WEIGHTS
    assert client.fetch_file(NAME, "model.bin") == path
    assert len(hub.asked("GET", "model.bin")) == 2  # the redirect and the store
    assert client.fetch_file(NAME, "config.json").read_bytes() == b"{}"


def test_progress_is_told(hub):
    told = []
    client.fetch_file(NAME, "model.bin", watch=lambda *state: told.append(state))
    assert told[0] == ("model.bin", 0, len(WEIGHTS))
    assert told[-1] == ("model.bin", len(WEIGHTS), len(WEIGHTS))


def test_a_broken_connection_is_taken_up_again(hub, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 50_000)  # what is lost with each break
    hub.broken_after["model.bin"] = [200_000, 300_000]
    assert client.fetch_file(NAME, "model.bin").read_bytes() == WEIGHTS
    ranges = [one.range for one in hub.asked("GET", "/model.bin") if one.range]
    assert set(ranges) == {"bytes=200000-", "bytes=500000-"}


def test_a_killed_download_goes_on_where_it_stopped(hub, tmp_path):
    code = f"""
import time
from clipworks.encoders import hub
def slow(name, done, size):
    if done > {len(WEIGHTS) // 2}:
        print("half", flush=True)
        time.sleep(60)
hub.constants.DOWNLOAD_CHUNK_SIZE = 65536
hub.fetch_file("{NAME}", "model.bin", watch=slow)
"""
    environment = {
        **os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(tmp_path / "hub"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    (unfinished,) = blobs(tmp_path / "hub")
    had = unfinished.stat().st_size
    assert 0 < had < len(WEIGHTS)

    assert client.fetch_file(NAME, "model.bin").read_bytes() == WEIGHTS
    assert hub.asked("GET", "/model.bin")[-1].range == f"bytes={had}-"
    (whole,) = blobs(tmp_path / "hub")
    assert whole.name == hashlib.sha256(WEIGHTS).hexdigest()


def test_two_at_once_download_once(hub):
    with ThreadPoolExecutor(4) as threads:
        paths = list(threads.map(lambda _: client.fetch_file(NAME, "model.bin"), range(4)))
    assert {path.read_bytes() for path in paths} == {WEIGHTS}
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    assert len(hub.asked("GET", f"/{sha256}/model.bin")) == 1


def test_a_damaged_file_leaves_the_cache(hub, tmp_path):
    hub.damaged.add("model.bin")
    with pytest.raises(
        DownloadError, match=r"came damaged: its SHA-256 is .* run the same command"
    ):
        client.fetch_file(NAME, "model.bin")
    assert blobs(tmp_path / "hub") == []
    hub.damaged.clear()
    assert client.fetch_file(NAME, "model.bin").read_bytes() == WEIGHTS


def test_what_is_damaged_in_the_cache_is_noticed(hub, monkeypatch):
    path = client.fetch_file(NAME, "model.bin")
    path.resolve().write_bytes(WEIGHTS[:-1])
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match="came damaged"):
        client.fetch_file(NAME, "model.bin")


def test_offline_takes_what_is_cached(hub, monkeypatch):
    path = client.fetch_file(NAME, "model.bin")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    asked = len(hub.requests)
    assert client.fetch_file(NAME, "model.bin") == path
    assert client.list_files(NAME) == ["model.bin"]
    with pytest.raises(DownloadError, match=r"config.json is not in the hub's cache .*OFFLINE"):
        client.fetch_file(NAME, "config.json")
    assert len(hub.requests) == asked


def test_no_network(hub, monkeypatch):
    path = client.fetch_file(NAME, "model.bin")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert client.fetch_file(NAME, "model.bin") == path
    with pytest.raises(DownloadError, match=r"cannot be reached for org/model/config.json") as info:
        client.fetch_file(NAME, "config.json")
    assert "HF_ENDPOINT to a mirror" in str(info.value)
    assert "\n" not in str(info.value)


def test_a_mirror_is_asked_instead(hub, monkeypatch, tmp_path):
    with FakeHub() as mirror:
        mirror.add(NAME, {"model.bin": WEIGHTS})
        monkeypatch.setenv("HF_ENDPOINT", mirror.url + "/")
        assert client.fetch_file(NAME, "model.bin").read_bytes() == WEIGHTS
        assert client.list_files(NAME) == ["model.bin"]
        assert mirror.requests
    assert not hub.requests


def test_our_own_name_of_the_mirror_goes_first(hub, monkeypatch):
    monkeypatch.setenv("CLIPWORKS_HUB_MIRROR", hub.url)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert client.fetch_file(NAME, "model.bin").read_bytes() == WEIGHTS


def test_a_full_disk_is_told_before_the_download(hub, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=len(WEIGHTS) - 1)
    monkeypatch.setattr(client.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(
        DownloadError, match=r"org/model/model.bin needs 1 MB more, but there is no"
    ):
        client.fetch_file(NAME, "model.bin")
    assert not hub.asked("GET", "model.bin")


def test_a_disk_that_fills_up_keeps_what_came(hub, monkeypatch):
    def full(url, stream, **_):
        stream.write(b"some")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(client, "http_get", full)
    with pytest.raises(DownloadError, match=r"no room for it in .* what has come is kept") as info:
        client.fetch_file(NAME, "model.bin")
    assert "\n" not in str(info.value)


def test_refusals(hub):
    hub.add("org/gated", {"model.bin": WEIGHTS}, readers="members")
    hub.add("org/shut", {"model.bin": WEIGHTS}, readers="nobody")
    with pytest.raises(DownloadError, match=r"org/gated is gated: accept its terms at http.*gated"):
        client.fetch_file("org/gated", "model.bin")
    with pytest.raises(DownloadError, match=r"refused org/shut/model.bin with status 403: log in"):
        client.fetch_file("org/shut", "model.bin")
    with pytest.raises(UnknownModelError, match="has no repository org/none, or keeps it private"):
        client.fetch_file("org/none", "model.bin")
    with pytest.raises(DownloadError, match=r"org/model on http.* has no file other.bin"):
        client.fetch_file(NAME, "other.bin")
    with pytest.raises(UnknownModelError, match="cannot be a repository"):
        client.fetch_file("a/b/c", "model.bin")
    with pytest.raises(UnknownModelError, match="org/none"):
        client.list_files("org/none")


def test_the_token_opens_the_gate_and_stays_with_the_hub(hub, monkeypatch):
    hub.add("org/gated", {"model.bin": WEIGHTS}, readers="members")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert client.fetch_file("org/gated", "model.bin").read_bytes() == WEIGHTS
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    at_store = hub.asked("GET", sha256)
    assert at_store
    assert {one.authorization for one in at_store} == {None}


def test_the_first_file_there_is(hub):
    assert client.fetch_first(NAME, ["a.safetensors", "model.bin"]).name == "model.bin"
    with pytest.raises(DownloadError, match=r"has no file a.safetensors or b.bin"):
        client.fetch_first(NAME, ["a.safetensors", "b.bin"])
