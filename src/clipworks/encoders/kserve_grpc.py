"""KServe v2 over gRPC, with raw tensor contents.

Axes: row (pictures or texts in a batch), dim (width of the joint space).
"""

from __future__ import annotations

from typing import Any, final

import numpy as np
from jaxtyping import Float32

from clipworks.encoders.kserve_messages import INFER_METHOD, message_class
from clipworks.encoders.model_server import (
    DATATYPES,
    INPUT_NAMES,
    OUTPUT_NAME,
    AbstractModelServer,
    explain_refusal,
    read_rows,
)
from clipworks.encoders.served_names import Tower, served_name
from clipworks.errors import ClipworksError, ServerError
from clipworks.extras import require

grpc = require("grpc", "the kserve backend with a grpc:// address")

_NO_LIMIT = -1
_OPTIONS = [
    ("grpc.max_send_message_length", _NO_LIMIT),
    ("grpc.max_receive_message_length", _NO_LIMIT),
]


@final
class GrpcModelServer(AbstractModelServer):
    """One model's two towers on a server, over gRPC.

    Args:
        target: host and port.
        bundle_name: of the model.
        timeout_s: of one answer, the connection included.
        secure: whether to speak TLS.
    """

    def __init__(
        self, target: str, bundle_name: str, *, timeout_s: float, secure: bool = False
    ) -> None:
        self._target = target
        self._bundle_name = bundle_name
        self._timeout_s = timeout_s
        credentials = grpc.ssl_channel_credentials() if secure else None
        channel = (
            grpc.secure_channel(target, credentials, options=_OPTIONS)
            if secure
            else grpc.insecure_channel(target, options=_OPTIONS)
        )
        # gRPC itself tries again what never reached the server, and nothing else.
        self._call: Any = channel.unary_unary(
            INFER_METHOD,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=message_class("ModelInferResponse").FromString,
        )

    def infer(self, tower: Tower, batch: np.ndarray) -> Float32[np.ndarray, "row dim"]:
        """Send one batch through one tower."""
        model = served_name(self._bundle_name, tower)
        request = encode_request(model, INPUT_NAMES[tower], batch)
        try:
            answer = self._call(request, timeout=self._timeout_s)
        except grpc.RpcError as error:
            raise self._explain(model, error) from error
        return self._decode(model, answer)

    def _explain(self, model: str, error: Any) -> ClipworksError:  # noqa: ANN401
        code, text = error.code(), str(error.details())
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return ServerError(f"{self._target} has not answered within {self._timeout_s:g} s")
        if code == grpc.StatusCode.UNAVAILABLE and "unknown model" not in text.lower():
            return ServerError(f"{self._target} does not answer: is it up? ({text})")
        return explain_refusal(
            self._target,
            model,
            text,
            unknown=code == grpc.StatusCode.NOT_FOUND,
            bad_input=code == grpc.StatusCode.INVALID_ARGUMENT,
        )

    def _decode(self, model: str, answer: Any) -> Float32[np.ndarray, "row dim"]:  # noqa: ANN401
        named = [index for index, one in enumerate(answer.outputs) if one.name == OUTPUT_NAME]
        if not named:
            raise ServerError(f"{self._target} answers for {model}, but not with {OUTPUT_NAME}")
        output = answer.outputs[named[0]]
        if answer.raw_output_contents:
            content = answer.raw_output_contents[named[0]]
        else:
            content = np.asarray(output.contents.fp32_contents, "<f4").tobytes()
        return read_rows(self._target, model, content, list(output.shape), output.datatype)


def encode_request(model: str, input_name: str, batch: np.ndarray) -> Any:  # noqa: ANN401
    """A `ModelInferRequest` with one tensor, little-endian and in C order."""
    request = message_class("ModelInferRequest")(model_name=model)
    request.inputs.add(
        name=input_name, datatype=DATATYPES[batch.dtype.name], shape=list(batch.shape)
    )
    request.outputs.add(name=OUTPUT_NAME)
    body = np.ascontiguousarray(batch, batch.dtype.newbyteorder("<")).tobytes()
    request.raw_input_contents.append(body)
    return request
