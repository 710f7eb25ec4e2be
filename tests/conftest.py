"""Unit tests reach no network; one thread keeps small models quick on two cores."""

import os

import pytest
import pytest_socket

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["CLIPWORKS_BACKEND"] = "onnx"  # auto would measure in every new cache


@pytest.fixture(autouse=True)
def _no_network_but_loopback(request):
    if request.node.get_closest_marker("network"):
        pytest_socket.enable_socket()
    else:
        pytest_socket.socket_allow_hosts(["127.0.0.1", "::1"], allow_unix_socket=True)
    yield
    pytest_socket._remove_restrictions()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("CLIPWORKS_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def tiny_bundle_folder(tmp_path_factory):
    """A bundle of a tiny CLIP with random weights."""
    from tests.support.tiny import tiny_bundle

    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny").folder
