import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from clipworks.errors import DownloadError
from clipworks.search.picture_download import download_picture, is_picture_url


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/gone":
            self.send_error(404)
        elif self.path in ("/moved", "/to-file", "/loop"):
            targets = {"/moved": "/good", "/to-file": "file:///etc/hostname", "/loop": "/loop"}
            self.send_response(302)
            self.send_header("Location", targets[self.path])
            self.end_headers()
        elif self.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"abc")
        elif self.path == "/slow":
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(100):
                    self.wfile.write(b"x")
                    time.sleep(0.05)
            except OSError:
                pass
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"p" * 5000)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


def test_what_an_address_is():
    assert is_picture_url("http://a/b")
    assert is_picture_url("HTTPS://a/b")
    for other in ("a.png", "file:///a", "ftp://a", b"http://a", 3):
        assert not is_picture_url(other)


@pytest.mark.parametrize("path", ["/good", "/moved"])
def test_the_bytes_come(server, path):
    assert download_picture(server + path) == b"p" * 5000


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/gone", "the server answers 404"),
        ("/to-file", "the server answers 302|cannot be fetched"),
        ("/loop", "302"),
        ("/cut", "cannot be fetched"),
    ],
)
def test_what_goes_wrong_is_one_line(server, path, message):
    with pytest.raises(DownloadError, match=message) as caught:
        download_picture(server + path)
    assert "\n" not in str(caught.value)


def test_too_many_bytes_are_given_up(server):
    with pytest.raises(DownloadError, match="larger than 4999 bytes"):
        download_picture(server + "/good", max_bytes=4999)
    assert len(download_picture(server + "/good", max_bytes=5000)) == 5000


def test_an_answer_that_drips_is_given_up(server):
    with pytest.raises(DownloadError, match=r"no answer in 0\.2 s"):
        download_picture(server + "/slow", timeout_s=0.2)


def test_nobody_there_and_no_address():
    with pytest.raises(DownloadError, match="cannot be fetched"):
        download_picture("http://127.0.0.1:9/a.png")
    for url in ("http://", "http://[", "file:///etc/hostname", "http://a b/"):
        with pytest.raises(DownloadError, match="cannot be fetched"):
            download_picture(url)
