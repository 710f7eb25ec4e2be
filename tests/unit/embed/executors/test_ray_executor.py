"""A cluster that is not there is found out at once."""

import socket
from types import SimpleNamespace

import pytest

from clipworks.embed.executors.ray_executor import _start
from clipworks.errors import SettingsError


@pytest.fixture
def asked():
    """What Ray was asked, in its place."""
    found = []
    return SimpleNamespace(init=lambda **options: found.append(options), found=found)


@pytest.mark.enable_socket
@pytest.mark.parametrize("form", ["{}:{}", "ray://{}:{}"])
def test_a_cluster_that_does_not_answer_is_one_line(monkeypatch, asked, form):
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        monkeypatch.setenv("RAY_ADDRESS", form.format(host, port))
        _start(asked)
    assert len(asked.found) == 1
    with pytest.raises(SettingsError, match=f"no Ray at {form.format(host, port)} .*refused"):
        _start(asked)
    assert len(asked.found) == 1


@pytest.mark.parametrize("address", ["auto", ""])
def test_ray_itself_finds_the_cluster_of_this_machine(monkeypatch, asked, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    _start(asked)
    assert ("address" in asked.found[0]) == (not address)
