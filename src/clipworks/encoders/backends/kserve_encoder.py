"""A model server that speaks KServe v2, such as Triton: the towers run there, the rest here.

Axes: image, text, row (of a batch), dim (width of the joint space).
"""

from __future__ import annotations

from typing import final
from urllib.parse import urlsplit

import numpy as np

from clipworks.arrays import Embeddings, Pixels, Tokens, normalize_rows
from clipworks.encoders.batch_checks import check_pixels, check_tokens, no_rows
from clipworks.encoders.bundle import Bundle
from clipworks.encoders.computed_precision import native_precision, resolve_precision
from clipworks.encoders.encoder import AbstractEncoder
from clipworks.encoders.model_server import AbstractModelServer
from clipworks.encoders.served_names import Tower, served_name
from clipworks.errors import ServerError, SettingsError
from clipworks.extras import require

require("urllib3", "the kserve backend")

_MAX_ROWS = 32  # in a request: a server refuses more than its models' largest batch
_TIMEOUT_S = 60.0
_CONNECT_TIMEOUT_S = 5.0
_PLACES = "http://host:8000 or grpc://host:8001"


def list_devices() -> list[str]:
    """What stands where other backends have a device: a server's address."""
    return [_PLACES]


@final
class KServeEncoder(AbstractEncoder):
    """A bundle's towers on a model server, as `clipworks export triton` puts them there.

    Args:
        bundle: what the server runs; its pictures and texts are prepared here.
        device: the server's address: `http://`, `https://`, `grpc://` or `grpcs://`.
        precision: the server's own business: only the bundle's own may be asked for.
        num_threads: the same; it is not used.

    Raises:
        SettingsError: that is no address, or another precision is asked for.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: str = "",
        precision: str | None = None,
        num_threads: int = 0,
    ) -> None:
        self._card = bundle.card
        self._address = device
        self._server = _connect(device, bundle.card.name)
        resolve_precision(
            bundle.card, precision, able=[native_precision(bundle.card)], runtime=f"{device}"
        )

    @property
    def backend(self) -> str:
        """The runtime and the server."""
        return f"kserve ({self._address})"

    def encode_images(self, pixels: Pixels) -> Embeddings:
        """Map float32 pixels [image 3 h w] to unit rows [image dim].

        Raises:
            InputError: the array has another shape or type than the model takes.
            ServerError: the server is away, or answers something else.
            UnknownModelError: the server has no such model.
        """
        check_pixels(pixels, self._card)
        return self._run("image", pixels)

    def encode_texts(self, tokens: Tokens) -> Embeddings:
        """Map int64 tokens [text context] to unit rows [text dim].

        Raises:
            InputError: the array has another shape or type than the model takes.
            ServerError: the server is away, or answers something else.
            UnknownModelError: the server has no such model.
        """
        check_tokens(tokens, self._card)
        return self._run("text", tokens)

    def _run(self, tower: Tower, batch: np.ndarray) -> Embeddings:
        if not len(batch):
            return no_rows(self._card)
        parts = []
        for begin in range(0, len(batch), _MAX_ROWS):
            part = batch[begin : begin + _MAX_ROWS]
            rows = self._server.infer(tower, part)
            expected = (len(part), self._card.embedding_dim)
            if rows.shape != expected:
                raise ServerError(
                    f"{self._address}: {served_name(self._card.name, tower)} answers "
                    f"{list(rows.shape)}, expected {list(expected)}: does it serve another model?"
                )
            parts.append(normalize_rows(rows))
        return np.concatenate(parts)


def _connect(device: str, bundle_name: str) -> AbstractModelServer:
    """A client for an address; the connection itself is made when first used."""
    parts = urlsplit(device)
    if not parts.netloc or parts.scheme not in ("http", "https", "grpc", "grpcs"):
        raise SettingsError(f"device {device!r}: the kserve backend takes an address, {_PLACES}")
    if parts.scheme.startswith("http"):
        from clipworks.encoders.kserve_http import HttpModelServer

        return HttpModelServer(
            device, bundle_name, timeout_s=_TIMEOUT_S, connect_timeout_s=_CONNECT_TIMEOUT_S
        )
    from clipworks.encoders.kserve_grpc import GrpcModelServer

    return GrpcModelServer(
        parts.netloc, bundle_name, timeout_s=_TIMEOUT_S, secure=parts.scheme == "grpcs"
    )
