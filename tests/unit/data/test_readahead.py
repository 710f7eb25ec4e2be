import threading

import pytest

from clipworks.data import readahead
from clipworks.data.contents import Location, Unreadable
from clipworks.data.downloads import FetchLimits
from clipworks.data.readahead import AHEAD, READERS, read_ahead
from clipworks.data.samples import Sample
from tests.support.web_server import web_server


@pytest.fixture(scope="module")
def server():
    with web_server() as running:
        running.files |= {f"/{n}": f"picture {n}".encode() for n in range(200)}
        yield running


def remote(server, number, kind=""):
    url = f"{server.url}/{kind}{number}"
    return Sample(url, Location(url))


def test_fetches_in_order_and_several_at_a_time(server):
    samples = [remote(server, n, "late/" if n < 20 else "") for n in range(100)]
    found = list(read_ahead(samples))
    assert [sample.image for sample in found] == [f"picture {n}".encode() for n in range(100)]
    assert [sample.name for sample in found] == [sample.name for sample in samples]
    assert 1 < server.most_at_once <= READERS


def test_looks_ahead_within_bounds(server):
    given = []

    def samples():
        for number in range(200):
            given.append(number)
            yield remote(server, number)

    stream = read_ahead(samples())
    next(stream)
    assert len(given) == AHEAD + 1
    stream.close()


def test_local_samples_pass_at_once_and_keep_their_place(server):
    local = Sample("here", b"bytes", "caption")
    stream = read_ahead(iter([local, remote(server, 1, "late/"), local, remote(server, 2)]))
    assert next(stream) is local
    assert [sample.image for sample in stream] == [b"picture 1", b"bytes", b"picture 2"]


def test_every_part_is_fetched_and_each_fault_is_its_own(server):
    url = server.url
    sample = Sample("a", Location(f"{url}/1"), Location(f"{url}/none"), Location(f"{url}/2"))
    (found,) = read_ahead([sample])
    assert found.image == b"picture 1"
    assert found.caption == Unreadable("HTTP 404 Not Found")
    assert found.fields == b"picture 2"


def test_limits_are_passed_on(server):
    (found,) = read_ahead([remote(server, 1, "late/")], FetchLimits(timeout_s=0.05, tries=1))
    assert found.image == Unreadable("no answer within 0.05 s")


def test_nothing_is_fetched_any_more_when_nobody_listens(server, monkeypatch):
    begun, gate = [], threading.Event()

    def fetch(url, limits, stop):
        begun.append(url)
        gate.wait(10)
        return b""

    monkeypatch.setattr(readahead, "fetch", fetch)
    stream = read_ahead(remote(server, n) for n in range(200))
    thread = threading.Thread(target=lambda: next(stream))
    thread.start()
    gate.set()
    thread.join()
    stream.close()
    assert len(begun) <= AHEAD + READERS
