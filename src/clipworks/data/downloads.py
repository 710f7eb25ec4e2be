"""Pictures from the web: a few tries, within limits of time and size, over http and https alone."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO, NoReturn, TypeVar, cast, final
from urllib.parse import quote, urlsplit, urlunsplit

from clipworks.errors import InputError

USER_AGENT = "clipworks (a Python program that embeds pictures)"
_BLOCK_BYTES = 1 << 16
_LONGEST_PAUSE_S = 30.0
_STAYS_AS_IT_IS = "%/:=&?~#+!$,;'@()*[]|"

T = TypeVar("T")


@dataclass(frozen=True)
class FetchLimits:
    """How much patience there is for one address.

    Attributes:
        timeout_s: seconds that one try may take from beginning to end.
        size_bytes: of the largest file that is taken.
        tries: in all; only what may pass (5xx, 429, no answer, a broken connection) is tried again.
        backoff_s: seconds before the second try; each further one waits twice as long.
    """

    timeout_s: float = 20.0
    size_bytes: int = 64 << 20
    tries: int = 3
    backoff_s: float = 0.5


def fetch(url: str, limits: FetchLimits, *, stop: threading.Event | None = None) -> bytes:
    """Fetch an http or https address; redirects are followed, to such addresses only.

    Safe to call from many threads at once.

    Args:
        url: characters that no address may have are quoted.
        limits: of time, size and tries.
        stop: once set, nothing more is read, and there are no further tries.

    Raises:
        InputError: with the server's status, or what else went wrong; the message leaves the
            address out.
    """
    stop = stop or threading.Event()

    def read() -> bytes:
        deadline = time.monotonic() + limits.timeout_s
        with _open(url, limits.timeout_s) as response:
            return _read(response, limits, deadline, stop)

    return _persist(read, limits, stop)


def open_download(url: str, limits: FetchLimits | None = None) -> BinaryIO:
    """Open an address whose content is read bit by bit; only each single wait is limited.

    Raises:
        InputError: as `fetch` does.
    """
    limits = limits or FetchLimits()
    response = _persist(lambda: _open(url, limits.timeout_s), limits, threading.Event())
    return cast("BinaryIO", response)


@final
class _PassingTroubleError(Exception):
    """What another try may do away with; it never leaves this file.

    Args:
        reason: for people.
        pause_s: that the server asks for.
    """

    def __init__(self, reason: str, pause_s: float = 0.0) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


def _persist(attempt: Callable[[], T], limits: FetchLimits, stop: threading.Event) -> T:
    for number in range(1, limits.tries + 1):
        try:
            return attempt()
        except _PassingTroubleError as trouble:
            pause = max(limits.backoff_s * 2 ** (number - 1), trouble.pause_s)
            if number == limits.tries or stop.wait(min(pause, _LONGEST_PAUSE_S)):
                tries = f" ({number} tries)" if number > 1 else ""
                raise InputError(f"{trouble}{tries}") from trouble
    raise AssertionError(limits)


def _open(url: str, timeout_s: float) -> http.client.HTTPResponse:
    try:
        request = urllib.request.Request(_quoted(url), headers={"User-Agent": USER_AGENT})
        return _opener().open(request, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        with error:
            _refuse(error)
    except urllib.error.URLError as error:
        _explain(error.reason, timeout_s)
    except (OSError, http.client.HTTPException) as error:
        _explain(error, timeout_s)
    except ValueError as error:
        raise InputError(f"is not an address: {error}") from error


def _read(
    response: http.client.HTTPResponse,
    limits: FetchLimits,
    deadline: float,
    stop: threading.Event,
) -> bytes:
    stated = response.length  # None where the server does not say
    if stated is not None and stated > limits.size_bytes:
        raise _too_large(limits)
    content = bytearray()
    try:
        while block := response.read1(_BLOCK_BYTES):
            content += block
            if len(content) > limits.size_bytes:
                raise _too_large(limits)
            if time.monotonic() > deadline:
                raise TimeoutError
            if stop.is_set():
                raise InputError("was not waited for")
    except (OSError, http.client.HTTPException) as error:
        _explain(error, limits.timeout_s)
    if stated is not None and len(content) < stated:
        raise _PassingTroubleError(f"ended early: {len(content)} of {stated} bytes came")
    return bytes(content)


def _too_large(limits: FetchLimits) -> InputError:
    return InputError(f"is larger than the limit of {limits.size_bytes >> 20} MiB")


def _refuse(error: urllib.error.HTTPError) -> NoReturn:
    reason = " ".join(f"HTTP {error.code} {error.reason}".split())
    if error.code == http.HTTPStatus.TOO_MANY_REQUESTS or error.code >= 500:
        asked = error.headers.get("Retry-After", "")
        raise _PassingTroubleError(reason, float(asked) if asked.isdecimal() else 0.0) from error
    raise InputError(reason) from error


def _explain(error: object, timeout_s: float) -> NoReturn:
    if isinstance(error, TimeoutError):
        raise _PassingTroubleError(f"no answer within {timeout_s:g} s") from error
    if isinstance(error, ssl.SSLCertVerificationError):
        raise InputError(f"its certificate is not valid: {error.verify_message}") from error
    if isinstance(error, OSError):
        raise _PassingTroubleError(f"cannot be reached: {error.strerror or error}") from error
    text = " ".join(str(error).split())
    if isinstance(error, http.client.InvalidURL):
        raise InputError(f"is not an address: {text}") from error
    if isinstance(error, http.client.HTTPException):
        raise _PassingTroubleError(f"answers no HTTP: {type(error).__name__} {text}") from error
    raise InputError(text)


def _quoted(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc
    if not host.isascii():
        host = host.encode("idna").decode()
    rest = (quote(part, _STAYS_AS_IT_IS, errors="surrogateescape") for part in parts[2:4])
    return urlunsplit((parts.scheme, host, *rest, ""))


class _TimedHeaders(http.client.HTTPConnection):
    """A connection whose timeout is for the whole of the answer's head, not for each byte of it."""

    def getresponse(self) -> http.client.HTTPResponse:
        given_up = threading.Event()

        def give_up() -> None:
            given_up.set()
            with suppress(OSError, AttributeError):  # it may be closed by now
                self.sock.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(cast("float", self.timeout), give_up)
        timer.daemon = True
        timer.start()
        try:
            response = super().getresponse()
        except (OSError, http.client.HTTPException) as error:
            if given_up.is_set():
                raise TimeoutError from error
            raise
        finally:
            timer.cancel()
        if given_up.is_set():  # half of the headers pass for all of them
            response.close()
            raise TimeoutError
        return response


@final
class _TimedSecureHeaders(_TimedHeaders, http.client.HTTPSConnection):
    """The same, encrypted."""


@final
class _Handler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_TimedHeaders, req)


@final
class _SecureHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        context = self._context  # pyright: ignore[reportAttributeAccessIssue]
        return self.do_open(_TimedSecureHeaders, req, context=context)


@lru_cache(maxsize=1)
def _opener() -> urllib.request.OpenerDirector:
    """Knows http, https and the environment's proxies; no files, no ftp."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        _Handler(),
        _SecureHandler(context=ssl.create_default_context()),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener
