"""A web server on loopback that serves what it is told to, and misbehaves on demand."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


class WebServer:
    """Files by path, and paths that mean trouble.

    `/status/503/2/NAME` answers 503 twice and then NAME; `/redirect?TARGET` leads elsewhere,
    `/loop` nowhere; `/slow/NAME` sends a byte now and then; `/cut/NAME` closes halfway;
    `/late/NAME` waits first; `/unsized/NAME` does not say how long it is;
    of `/drip/NAME` the headers never end.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()
        self.agents: set[str] = set()
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.url = ""


@contextmanager
def web_server() -> Iterator[WebServer]:
    """Serve until the block ends."""
    state = WebServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            with state.lock:
                state.asked[self.path] += 1
                state.agents.add(self.headers["User-Agent"])
                state.at_once += 1
                state.most_at_once = max(state.most_at_once, state.at_once)
                count = state.asked[self.path]
            try:
                answer(self, state, count)
            except (BrokenPipeError, ConnectionResetError):
                pass
            finally:
                with state.lock:
                    state.at_once -= 1

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answer(handler: BaseHTTPRequestHandler, state: WebServer, count: int) -> None:
    path = unquote(handler.path)
    kind, _, rest = path[1:].partition("/")
    if kind == "status":
        code, times, name = rest.split("/", 2)
        if count <= int(times):
            handler.send_response(int(code))
            handler.send_header("Retry-After", "0")
            handler.end_headers()
            return
        path = f"/{name}"
    elif path.startswith(("/redirect?", "/loop")):
        handler.send_response(302)
        handler.send_header("Location", path.partition("?")[2] or "/loop")
        handler.end_headers()
        return
    elif kind in ("slow", "cut", "drip", "late", "unsized"):
        path = f"/{rest}"
    content = state.files.get(path)
    if content is None:
        handler.send_error(404)
    elif kind == "drip":
        drip(handler, b"HTTP/1.0 200 OK\r\nServer: " + b"x" * 60)
    else:
        send(handler, kind, content)


def send(handler: BaseHTTPRequestHandler, kind: str, content: bytes) -> None:
    if kind == "late":
        time.sleep(0.2)
    handler.send_response(200)
    if kind != "unsized":
        handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    if kind == "slow":
        drip(handler, content[:40])
    else:
        handler.wfile.write(content[: len(content) // 2] if kind == "cut" else content)


def drip(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    for byte in content:
        handler.wfile.write(bytes([byte]))
        time.sleep(0.05)
