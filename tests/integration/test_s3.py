"""Pictures and tars in an S3 bucket: a stand-in server, and pyarrow's real client.

CLIPWORKS_MOTO names a virtual environment in which `moto[server]` is installed; without it one is
made.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from pyarrow import fs

from clipworks.data import remote_files
from clipworks.data.contents import open_again
from clipworks.data.sources.opening import open_source
from clipworks.data.sources.source_options import SourceOptions
from clipworks.embed.pipeline import embed_folder
from clipworks.errors import FolderError
from tests.support.colours import colour_embedder
from tests.support.pictures import png_bytes
from tests.support.sources import items, tar_files, write_pictures, write_tar

pytestmark = pytest.mark.slow

COUNT = 6
START_S = 60


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    if given := os.environ.get("CLIPWORKS_MOTO"):
        return Path(given) / "bin/moto_server"
    home = tmp_path_factory.mktemp("moto")
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    install = [home / "bin/pip", "install", "--quiet", "moto[server,s3]"]
    subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
    return home / "bin/moto_server"


@pytest.fixture(scope="module")
def endpoint(moto):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [moto, "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(url)
        yield url
    finally:
        server.terminate()
        server.wait()


def wait_for(url):
    deadline = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@pytest.fixture
def bucket(endpoint, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    remote_files._arrow_file_system.cache_clear()
    store = fs.S3FileSystem(endpoint_override=endpoint, allow_bucket_creation=True)
    store.create_dir("pictures")
    given = items([png_bytes(n) for n in range(COUNT)])
    for path in sorted(write_pictures(tmp_path / "local", given).iterdir()):
        put(store, f"pictures/folder/é {path.name}", path)
    for number in range(2):
        half = given[number * 3 : number * 3 + 3]
        put(store, f"pictures/tars/{number}.tar", write_tar(tmp_path / "t.tar", tar_files(half)))
    yield "s3://pictures"
    remote_files._arrow_file_system.cache_clear()


def put(store, key, path):
    with store.open_output_stream(key) as stream:
        stream.write(path.read_bytes())


@pytest.mark.parametrize("typed", ["folder", "folder/", "tars", "tars/{0..1}.tar", "tars/*.tar"])
def test_a_bucket_is_embedded_as_a_folder_is(bucket, typed, tmp_path):
    source = open_source([f"{bucket}/{typed}"], SourceOptions(partition_size=4))
    report = embed_folder(source, tmp_path / "out", colour_embedder())
    assert (report.embedded, report.skipped) == (COUNT, 0)
    files = sorted((tmp_path / "out/img_emb").iterdir())
    rows = np.concatenate([np.load(path) for path in files])
    expected = colour_embedder().embed_images([png_bytes(n) for n in range(COUNT)])
    assert np.array_equal(rows, expected.astype(np.float16))
    assert source.has_captions
    name = next(source.partition(0).samples()).name
    assert open_again(name) == png_bytes(0)


def test_what_is_not_there_is_one_line(bucket):
    with pytest.raises(FolderError, match="s3://pictures/none holds nothing, or is not there"):
        open_source([f"{bucket}/none"])
    with pytest.raises(FolderError, match="s3://no-such-bucket/x") as caught:
        open_source(["s3://no-such-bucket/x"])
    assert "\n" not in str(caught.value)
