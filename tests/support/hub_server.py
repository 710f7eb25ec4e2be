"""A stand-in for the Hugging Face hub, on this machine: enough HTTP for the real client.

Two servers, as in life: the hub, and the store of large files that it redirects to.
"""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

LARGE_BYTES = 1024  # what is larger is served as the hub serves large files


class Request(NamedTuple):
    """What a client asked for."""

    method: str
    path: str
    range: str | None
    authorization: str | None


@dataclass
class Repository:
    """Files, and who may read them: "everyone", "members" (gated) or "nobody" (refused)."""

    files: dict[str, bytes]
    readers: str = "everyone"

    @property
    def commit(self) -> str:
        """Another one whenever a file changes."""
        digest = hashlib.sha1()
        for path, content in sorted(self.files.items()):
            digest.update(path.encode() + content)
        return digest.hexdigest()


@dataclass
class FakeHub:
    """Starts with the `with` statement; `url` is what HF_ENDPOINT takes.

    Attributes:
        repositories: "org/name" to its content.
        broken_after: bytes of a large file, by name, after which the connection breaks; each
            number is used once.
        damaged: large files that come with a wrong byte.
        requests: all that was asked, in order.
    """

    repositories: dict[str, Repository] = field(default_factory=dict)
    broken_after: dict[str, list[int]] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> FakeHub:
        self._store = _start(_StoreHandler, self)
        self._hub = _start(_HubHandler, self)
        self.url = _url(self._hub)
        self.store_url = _url(self._store)
        return self

    def __exit__(self, *_) -> None:
        for server in (self._hub, self._store):
            server.shutdown()
            server.server_close()

    def connect(self, monkeypatch, cache: Path) -> None:
        """Let the client in this process talk to us alone, and keep its cache apart."""
        from huggingface_hub import constants

        for name, value in {
            "HF_HUB_CACHE": str(cache),
            "HF_HUB_DISABLE_TELEMETRY": True,
            "HF_HUB_OFFLINE": False,
            "HF_TOKEN_PATH": str(cache / "token"),
        }.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setenv("HF_ENDPOINT", self.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)

    def add(self, name: str, files: dict[str, bytes], readers: str = "everyone") -> None:
        self.repositories[name] = Repository(files, readers)

    def asked(self, method: str, part: str) -> list[Request]:
        return [one for one in self.requests if one.method == method and part in one.path]


class _FakeServer(ThreadingHTTPServer):
    daemon_threads = True
    fake: FakeHub


def _start(handler: type[BaseHTTPRequestHandler], fake: FakeHub) -> _FakeServer:
    server = _FakeServer(("127.0.0.1", 0), handler)
    server.fake = fake
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    ).start()
    return server


def _url(server: _FakeServer) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _FakeServer

    def log_message(self, *_) -> None: ...

    def do_HEAD(self) -> None:
        self._record()
        self.answer()

    def do_GET(self) -> None:
        self._record()
        self.answer()

    def answer(self) -> None:
        raise NotImplementedError

    def _record(self) -> None:
        headers = self.headers
        self.server.fake.requests.append(
            Request(self.command, self.path, headers["Range"], headers["Authorization"])
        )

    def send(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


class _HubHandler(_Handler):
    def answer(self) -> None:
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        if parts[:2] == ["api", "models"]:
            name, action = "/".join(parts[2:4]), parts[4:5]
        else:
            name, action = "/".join(parts[:2]), parts[2:3]
        repository = self.server.fake.repositories.get(name)
        if repository is None:
            self.send(404, {"X-Error-Code": "RepoNotFound"})
        elif repository.readers == "members" and not self.headers["Authorization"]:
            self.send(401, {"X-Error-Code": "GatedRepo"})
        elif repository.readers == "nobody":
            self.send(403, {"X-Error-Message": "not for you"})
        elif action == ["resolve"]:
            self._send_file(repository, "/".join(parts[4:]))
        else:
            self._send_listing(name, repository, action == ["tree"])

    def _send_listing(self, name: str, repository: Repository, is_tree: bool) -> None:
        files = [
            {"type": "file", "path": path, "size": len(content), "oid": "0" * 40}
            for path, content in repository.files.items()
        ]
        siblings = [{"rfilename": path} for path in repository.files]
        about = files if is_tree else {"id": name, "sha": repository.commit, "siblings": siblings}
        self.send(200, {"Content-Type": "application/json"}, json.dumps(about).encode())

    def _send_file(self, repository: Repository, path: str) -> None:
        commit = {"X-Repo-Commit": repository.commit}
        content = repository.files.get(path)
        if content is None:
            self.send(404, {**commit, "X-Error-Code": "EntryNotFound"})
        elif len(content) <= LARGE_BYTES:
            etag = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            self.send(200, {**commit, "ETag": f'"{etag}"'}, content)
        else:
            sha256 = hashlib.sha256(content).hexdigest()
            linked = {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(content))}
            location = f"{self.server.fake.store_url}/{sha256}/{path}"
            self.send(302, {**commit, **linked, "Location": location})


class _StoreHandler(_Handler):
    def answer(self) -> None:
        fake = self.server.fake
        sha256, _, path = urlsplit(self.path).path.strip("/").partition("/")
        content = next(
            content
            for repository in fake.repositories.values()
            for name, content in repository.files.items()
            if name == path and hashlib.sha256(content).hexdigest() == sha256
        )
        if path in fake.damaged:
            content = content[:-1] + bytes([content[-1] ^ 1])
        begin, end = self._asked_bytes(len(content))
        body = content[begin:end]
        headers = {"Accept-Ranges": "bytes", "ETag": f'"{sha256}"'}
        partial = self.headers["Range"] is not None
        if partial:
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{len(content)}"
        if limits := fake.broken_after.get(path):
            self._send_part(headers, body, limits.pop(0), partial=partial)
        else:
            self.send(206 if partial else 200, headers, body)

    def _asked_bytes(self, size: int) -> tuple[int, int]:
        first, _, last = (self.headers["Range"] or "").removeprefix("bytes=").partition("-")
        return int(first or 0), min(int(last) + 1, size) if last else size

    def _send_part(
        self, headers: dict[str, str], body: bytes, limit: int, *, partial: bool
    ) -> None:
        self.send_response(206 if partial else 200)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:limit])
        self.wfile.flush()
        self.close_connection = True
