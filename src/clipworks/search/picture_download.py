"""A picture behind a URL, as bytes: within limits of size and time, or one clear error."""

from __future__ import annotations

import http.client
import time
from typing import TypeGuard
from urllib.error import HTTPError, URLError
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from clipworks.errors import DownloadError

MAX_BYTES = 32 * 2**20
TIMEOUT_S = 20.0
_SCHEMES = ("http://", "https://")
_CHUNK_BYTES = 2**16


def is_picture_url(source: object) -> TypeGuard[str]:
    """Whether a picture is named by an address of the web."""
    return isinstance(source, str) and source.lower().startswith(_SCHEMES)


def download_picture(
    url: str, *, max_bytes: int = MAX_BYTES, timeout_s: float = TIMEOUT_S
) -> bytes:
    """Fetch the bytes behind an http or https URL; redirections to other schemes are refused.

    Args:
        url: of the picture.
        max_bytes: a longer answer is given up.
        timeout_s: for the whole answer.

    Raises:
        DownloadError: no answer in time, a refusal, or too many bytes.
    """
    end = time.monotonic() + timeout_s
    try:
        request = Request(url, headers={"User-Agent": "clipworks"})
        with _opener().open(request, timeout=timeout_s) as answer:
            return _read(answer, url, max_bytes=max_bytes, end=end)
    except HTTPError as error:
        error.close()
        raise DownloadError(
            f"{url}: the server answers {error.code} {_one_line(error.reason)}"
        ) from error
    except TimeoutError as error:
        raise DownloadError(f"{url}: no answer in {timeout_s:g} s") from error
    except URLError as error:
        raise DownloadError(f"{url} cannot be fetched: {_one_line(error.reason)}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise DownloadError(f"{url} cannot be fetched: {_one_line(error)}") from error


def _opener() -> OpenerDirector:
    """Only http and https: urllib's own opener also reads file:, ftp: and data: URLs."""
    opener = OpenerDirector()
    for handler in (
        ProxyHandler(),
        HTTPHandler(),
        HTTPSHandler(),
        HTTPErrorProcessor(),
        HTTPRedirectHandler(),
        HTTPDefaultErrorHandler(),
        UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _read(answer: http.client.HTTPResponse, url: str, *, max_bytes: int, end: float) -> bytes:
    content = bytearray()
    while chunk := answer.read1(_CHUNK_BYTES):
        content += chunk
        if len(content) > max_bytes:
            raise DownloadError(f"{url} is larger than {max_bytes} bytes: give a smaller picture")
        if time.monotonic() > end:
            raise TimeoutError
    if answer.length:  # what the server promised beyond that
        raise DownloadError(
            f"{url} cannot be fetched: the answer ended {answer.length} bytes early"
        )
    return bytes(content)


def _one_line(reason: object) -> str:
    return " ".join(str(reason).split()) or type(reason).__name__
