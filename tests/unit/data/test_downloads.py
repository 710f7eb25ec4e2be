import threading

import pytest

from clipworks.data.downloads import USER_AGENT, FetchLimits, fetch, open_download
from clipworks.errors import InputError
from tests.support.web_server import web_server

QUICK = FetchLimits(timeout_s=5, size_bytes=1000, backoff_s=0.001)


@pytest.fixture(scope="module")
def server():
    with web_server() as running:
        running.files["/a.png"] = b"picture"
        running.files["/large"] = b"x" * 2000
        running.files["/snow ☃/é.png"] = b"unicode"
        yield running


def asked(server, path):
    return server.asked[path]


def test_fetches_and_says_who_asks(server):
    assert fetch(f"{server.url}/a.png", QUICK) == b"picture"
    assert server.agents == {USER_AGENT}


def test_quotes_what_no_address_may_have(server):
    assert fetch(f"{server.url}/snow ☃/é.png", QUICK) == b"unicode"
    assert fetch(f"{server.url}/snow%20%E2%98%83/%C3%A9.png#part", QUICK) == b"unicode"


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_may_pass_is_tried_again(server, status):
    assert fetch(f"{server.url}/status/{status}/2/a.png", QUICK) == b"picture"


@pytest.mark.parametrize("status", [404, 403, 410])
def test_what_will_not_pass_is_not_tried_again(server, status):
    path = f"/status/{status}/9/a.png"
    with pytest.raises(InputError, match=rf"^HTTP {status} [A-Z][A-Za-z ]+$"):
        fetch(server.url + path, QUICK)
    assert asked(server, path) == 1


def test_three_tries_are_all(server):
    path = "/status/503/9/b.png"
    with pytest.raises(InputError, match=r"^HTTP 503 Service Unavailable \(3 tries\)$"):
        fetch(server.url + path, QUICK)
    assert asked(server, path) == 3


def test_no_further_tries_once_stopped(server):
    stop = threading.Event()
    stop.set()
    path = "/status/503/9/c.png"
    with pytest.raises(InputError, match=r"^HTTP 503 Service Unavailable$"):
        fetch(server.url + path, QUICK, stop=stop)
    assert asked(server, path) == 1


def test_redirects_are_followed_but_only_to_the_web(server, tmp_path):
    (tmp_path / "secret").write_text("secret")
    assert fetch(f"{server.url}/redirect?/a.png", QUICK) == b"picture"
    with pytest.raises(InputError, match="HTTP 302"):
        fetch(f"{server.url}/redirect?file://{tmp_path}/secret", QUICK)
    with pytest.raises(InputError, match="unknown url type: ftp"):
        fetch(f"{server.url}/redirect?ftp://127.0.0.1/x", QUICK)
    with pytest.raises(InputError, match="infinite loop"):
        fetch(f"{server.url}/loop", QUICK)


@pytest.mark.parametrize("path", ["/large", "/unsized/large"])
def test_what_is_too_large_is_not_taken(server, path):
    with pytest.raises(InputError, match="larger than the limit"):
        fetch(server.url + path, QUICK)
    assert asked(server, path) == 1


def test_the_time_limit_is_for_the_whole_of_a_try(server):
    limits = FetchLimits(timeout_s=0.3, tries=1)
    with pytest.raises(InputError, match=r"^no answer within 0\.3 s$"):
        fetch(f"{server.url}/slow/large", limits)
    with pytest.raises(InputError, match=r"^no answer within 0\.05 s$"):
        fetch(f"{server.url}/late/a.png", FetchLimits(timeout_s=0.05, tries=1))


def test_headers_that_never_end_are_not_waited_for(server):
    with pytest.raises(InputError, match=r"^no answer within 0\.3 s$"):
        fetch(f"{server.url}/drip/a.png", FetchLimits(timeout_s=0.3, tries=1))


def test_a_connection_that_ends_early_is_tried_again_and_reported(server):
    path = "/cut/a.png"
    with pytest.raises(InputError, match=r"^ended early: 3 of 7 bytes came \(3 tries\)$"):
        fetch(server.url + path, QUICK)
    assert asked(server, path) == 3


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:9/x", "cannot be reached: Connection refused"),
        ("http://", "no host given"),
        ("http://[::1/x", "is not an address"),
        ("http://127.0.0.1:port/x", "is not an address"),
        ("ftp://127.0.0.1/x", "unknown url type: ftp"),
        ("file:///etc/passwd", "unknown url type: file"),
        ("data:text/plain,x", "unknown url type: data"),
    ],
)
def test_what_cannot_be_reached_is_one_line(url, reason):
    with pytest.raises(InputError, match=reason) as caught:
        fetch(url, FetchLimits(tries=1))
    assert "\n" not in str(caught.value)


def test_a_stream_is_opened_with_the_same_patience(server):
    with open_download(f"{server.url}/status/503/1/large", QUICK) as stream:
        assert stream.read() == b"x" * 2000  # the limit of size is for what comes at once
    with pytest.raises(InputError, match="HTTP 404"):
        open_download(f"{server.url}/none", QUICK)
