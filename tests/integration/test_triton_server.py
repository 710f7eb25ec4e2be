"""A real Triton server runs what `clipworks export triton` writes.

`scripts/triton` fetches the server (55 MB) and starts it; CLIPWORKS_TRITON names a folder where it
did so before.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import clipworks
from clipworks.cli.export import triton as export_triton
from clipworks.encoders.bundle import read_bundle
from clipworks.export import triton_towers
from clipworks.export.triton_repository import write_repository
from clipworks.export.triton_towers import RepositorySettings
from tests.support.commands import run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or sys.version_info >= (3, 13),
        reason="the server is for Linux, and its NumPy 1.26 for Python up to 3.12",
    ),
]

ROOT = Path(__file__).parents[2]
PICTURES = [
    Path(clipworks.__file__).parent / "demo_pictures" / name for name in ("1f34e.png", "1f697.png")
]
TEXTS = ["an apple", "a car", "żółw: a turtle"]
START_S = 120.0


@dataclass(frozen=True)
class Server:
    """A server that is ready."""

    http: str
    grpc: str
    python: Path
    log: Path


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The folder with the server and its clients."""
    folder = os.environ.get("CLIPWORKS_TRITON") or str(tmp_path_factory.mktemp("triton") / "server")
    subprocess.run(
        [ROOT / "scripts/triton", "--setup"],
        env={**os.environ, "CLIPWORKS_TRITON": folder},
        check=True,
    )
    return Path(folder)


@pytest.fixture(scope="module")
def server(home, tmp_path_factory, tiny_bundle_folder):
    """Serves pictograms and a tiny bundle, both from one repository."""
    folder = tmp_path_factory.mktemp("served")
    models = folder / "models"
    run(export_triton, "pictograms", "--out", models, "--variant", "python", "--max-batch", 8)
    tiny = RepositorySettings(variant="python", instances=2)
    write_repository(read_bundle(tiny_bundle_folder), models, tiny)
    http, grpc, metrics = free_ports(3)
    log = folder / "server.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [
                ROOT / "scripts/triton", models, f"--http-port={http}", f"--grpc-port={grpc}",
                f"--metrics-port={metrics}", "--exit-timeout-secs=5",
            ],
            env={**os.environ, "CLIPWORKS_TRITON": str(home)},
            stdout=stream,
            stderr=stream,
        )  # fmt: skip
    try:
        await_ready(process, f"http://127.0.0.1:{http}", log)
        yield Server(
            f"http://127.0.0.1:{http}", f"grpc://127.0.0.1:{grpc}", home / "bin/python", log
        )
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def await_ready(process: subprocess.Popen, url: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/v2/health/ready", timeout=2):
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.5)
    pytest.fail(f"the server is not ready:\n{log.read_text(errors='replace')[-6000:]}")


def client(python: Path, code: str, *arguments: object) -> str:
    """Run code beside our example, in the Python that has tritonclient."""
    done = subprocess.run(
        [python, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "examples")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


ASK = """
import json, sys
from pathlib import Path
import numpy as np
from triton_client import TritonEmbedder
url, name, out, texts, *pictures = sys.argv[1:]
model = TritonEmbedder(url, name)
np.savez(out, texts=model.embed_texts(json.loads(texts)),
         images=model.embed_images([Path(path).read_bytes() for path in pictures]))
"""


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("name", ["pictograms", "tiny"])
def test_bytes_and_texts_go_in_and_our_vectors_come_out(
    server, tiny_bundle_folder, tmp_path, name, protocol
):
    url, out = getattr(server, protocol), tmp_path / "answer.npz"
    client(server.python, ASK, url, name, out, json.dumps(TEXTS), *PICTURES)
    model = clipworks.load(tiny_bundle_folder if name == "tiny" else name, backend="onnx")
    with np.load(out) as answer:
        np.testing.assert_allclose(answer["images"], model.embed_images(PICTURES), atol=1e-4)
        np.testing.assert_allclose(answer["texts"], model.embed_texts(TEXTS), atol=1e-4)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_our_own_client_runs_the_towers_there(server, protocol):
    here = clipworks.load("pictograms", backend="onnx")
    there = clipworks.load("pictograms", backend="kserve", device=getattr(server, protocol))
    np.testing.assert_allclose(there.embed_images(PICTURES), here.embed_images(PICTURES), atol=1e-4)
    np.testing.assert_allclose(there.embed_texts(TEXTS), here.embed_texts(TEXTS), atol=1e-4)


def test_the_example_names_what_it_sees(server):
    arguments = ["--url", server.http, "--model", "pictograms", "--texts", "an apple,a car"]
    done = subprocess.run(
        [server.python, ROOT / "examples/triton_client.py", *arguments, *PICTURES],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert re.fullmatch(
        r"1f34e.png: an apple \(0\.\d{3}\)\n1f697.png: a car \(0\.\d{3}\)\n", done.stdout
    )


CONCURRENT = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
from triton_client import TritonEmbedder
url, picture, out = sys.argv[1:]
content = [b"no picture", Path(picture).read_bytes()]
def ask(index):
    model = TritonEmbedder(url, "tiny")
    try:
        return model.embed_images([content[index % 2]]), None
    except Exception as error:
        return None, str(error)
with ThreadPoolExecutor(8) as threads:
    answers = list(threads.map(ask, range(32)))
np.save(out, np.concatenate([rows for rows, _ in answers[1::2]]))
print(json.dumps([error for _, error in answers[0::2]]))
"""


def test_a_broken_picture_among_many_requests_fails_alone(server, tiny_bundle_folder, tmp_path):
    out = tmp_path / "rows.npy"
    errors = json.loads(client(server.python, CONCURRENT, server.grpc, PICTURES[0], out))
    assert len(errors) == 16
    assert all("is not a picture that can be read" in error for error in errors)
    expected = clipworks.load(tiny_bundle_folder, backend="onnx").embed_images(PICTURES[:1])
    np.testing.assert_allclose(np.load(out), np.repeat(expected, 16, axis=0), atol=1e-4)


AT_ONCE = """
import queue, sys
from pathlib import Path
import numpy as np
import tritonclient.grpc as triton
address, picture = sys.argv[1:]
client = triton.InferenceServerClient(address)
tensor = triton.InferInput("image", [1, 1], "BYTES")
tensor.set_data_from_numpy(np.array([[Path(picture).read_bytes()]], dtype=object))
def passes():
    (stats,) = client.get_inference_statistics("pictograms-image").model_stats
    return stats.execution_count, stats.inference_count
before, answers = passes(), queue.Queue()
for _ in range(64):
    client.async_infer(
        "pictograms-embed-image", [tensor], callback=lambda result, error: answers.put(error)
    )
assert [answers.get(timeout=60) for _ in range(64)] == [None] * 64
print(*(now - then for now, then in zip(passes(), before)))
"""


def test_requests_that_come_together_share_a_batch(server):
    address = server.grpc.removeprefix("grpc://")
    executions, pictures = map(int, client(server.python, AT_ONCE, address, PICTURES[0]).split())
    assert pictures == 64
    assert 64 / 8 <= executions < 64


PARSE = """
import sys
from pathlib import Path
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig
for path in map(Path, sys.argv[1:]):
    config = text_format.Parse(path.read_text("utf-8"), ModelConfig())
    assert config.name == path.parent.name, path
    assert not config.response_cache.enable
    print(config.name, config.backend or config.platform, config.max_batch_size)
"""

VARIANTS = [
    {"variant": "onnx"},
    {"variant": "onnx", "accelerate": True},
    {"variant": "onnx", "accelerate": True, "device": "gpu"},
    {"variant": "openvino", "instances": 2},
    {"variant": "tensorrt", "device": "gpu"},
    {"variant": "python", "device": "gpu"},
]


@pytest.mark.parametrize("settings", VARIANTS, ids=lambda one: "-".join(map(str, one.values())))
def test_every_configuration_is_of_tritons_schema(
    home, tiny_bundle_folder, tmp_path, monkeypatch, settings
):
    monkeypatch.setattr(
        triton_towers, "write_plan", lambda graph, plan, **_: shutil.copy(graph, plan)
    )
    models = tmp_path / "models"
    write_repository(read_bundle(tiny_bundle_folder), models, RepositorySettings(**settings))
    configs = sorted(models.glob("*/config.pbtxt"))
    lines = client(home / "bin/python", PARSE, *configs).splitlines()
    backend = {"onnx": "onnxruntime"}.get(settings["variant"], settings["variant"])
    assert f"tiny-image {backend} {0 if backend == 'openvino' else 64}" in lines
    assert "tiny-embed-text ensemble 64" in lines
    assert "tiny-preprocess python 64" in lines
    assert len(lines) == 6
