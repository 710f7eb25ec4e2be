"""KServe v2 over HTTP, with its binary tensor extension.

A request is a JSON head and then the tensors' bytes; a header says how long the head is. The
answer is built alike. See "Binary Tensor Data Extension" in the protocol's description.

Axes: row (pictures or texts in a batch), dim (width of the joint space).
"""

from __future__ import annotations

import json
from typing import Any, final
from urllib.parse import quote

import numpy as np
from jaxtyping import Float32

from clipworks.encoders.model_server import (
    DATATYPES,
    INPUT_NAMES,
    OUTPUT_NAME,
    AbstractModelServer,
    explain_refusal,
    read_rows,
)
from clipworks.encoders.served_names import Tower, served_name
from clipworks.errors import ServerError
from clipworks.extras import require

urllib3 = require("urllib3", "the kserve backend")

_HEAD_LENGTH = "Inference-Header-Content-Length"
_CONNECT_ATTEMPTS = 3
_CONNECTIONS_KEPT = 16


@final
class HttpModelServer(AbstractModelServer):
    """One model's two towers on a server, over HTTP.

    Args:
        url: of the server: `http://host:8000`, with a path before `/v2` where it has one.
        bundle_name: of the model.
        timeout_s: of one answer.
        connect_timeout_s: of making a connection, which is tried three times.
    """

    def __init__(
        self, url: str, bundle_name: str, *, timeout_s: float, connect_timeout_s: float
    ) -> None:
        self._url = url.rstrip("/")
        self._bundle_name = bundle_name
        self._timeout_s = timeout_s
        self._pool: Any = urllib3.PoolManager(
            maxsize=_CONNECTIONS_KEPT,
            timeout=urllib3.Timeout(connect=connect_timeout_s, read=timeout_s),
            retries=urllib3.Retry(
                connect=_CONNECT_ATTEMPTS - 1, read=False, redirect=False, other=False,
                backoff_factor=0.2,
            ),
        )  # fmt: skip

    def infer(self, tower: Tower, batch: np.ndarray) -> Float32[np.ndarray, "row dim"]:
        """Send one batch through one tower."""
        model = served_name(self._bundle_name, tower)
        head, body = encode_request(INPUT_NAMES[tower], batch)
        headers = {
            "Content-Type": "application/octet-stream",
            _HEAD_LENGTH: str(len(head)),
        }
        url = f"{self._url}/v2/models/{quote(model)}/infer"
        answer = self._post(url, head + body, headers)
        if answer.status != 200:
            raise explain_refusal(
                self._url,
                model,
                _error_text(answer.data),
                unknown=answer.status == 404,
                bad_input=answer.status == 400,
            )
        return self._decode(model, answer)

    def _post(self, url: str, body: bytes, headers: dict[str, str]) -> Any:  # noqa: ANN401
        errors = urllib3.exceptions
        try:
            return self._pool.request("POST", url, body=body, headers=headers)
        except errors.ReadTimeoutError as error:
            raise ServerError(
                f"{self._url} has not answered within {self._timeout_s:g} s"
            ) from error
        except errors.LocationParseError as error:
            raise ServerError(f"{self._url} is no server's address: {error}") from error
        except errors.HTTPError as error:
            reason = getattr(error, "reason", None) or error
            raise ServerError(f"{self._url} does not answer: is it up? ({reason})") from error

    def _decode(self, model: str, answer: Any) -> Float32[np.ndarray, "row dim"]:  # noqa: ANN401
        try:
            length = int(answer.headers.get(_HEAD_LENGTH, len(answer.data)))
            (output,) = (
                one
                for one in json.loads(answer.data[:length])["outputs"]
                if one["name"] == OUTPUT_NAME
            )
            shape, datatype = [int(size) for size in output["shape"]], output["datatype"]
        except (ValueError, KeyError, TypeError) as error:
            raise ServerError(
                f"{self._url} answers for {model}, but not with {OUTPUT_NAME} as KServe v2 has it"
            ) from error
        if "data" in output:  # a server without the extension
            content = np.asarray(output["data"], "<f4").tobytes()
        else:
            content = answer.data[length:]
        return read_rows(self._url, model, content, shape, datatype)


def encode_request(input_name: str, batch: np.ndarray) -> tuple[bytes, bytes]:
    """The JSON head and the tensor's bytes, little-endian and in C order."""
    body = np.ascontiguousarray(batch, batch.dtype.newbyteorder("<")).tobytes()
    tensor = {
        "name": input_name,
        "shape": list(batch.shape),
        "datatype": DATATYPES[batch.dtype.name],
        "parameters": {"binary_data_size": len(body)},
    }
    wanted = {"name": OUTPUT_NAME, "parameters": {"binary_data": True}}
    return json.dumps({"inputs": [tensor], "outputs": [wanted]}).encode(), body


def _error_text(content: bytes) -> str:
    """What a refusal says: `{"error": "..."}`, or whatever a proxy in between wrote."""
    try:
        return str(json.loads(content)["error"])
    except (ValueError, KeyError, TypeError):
        return content[:200].decode("utf-8", "replace")
