"""A small KServe v2 model server over HTTP: two models, which an encoder of ours computes.

It takes and gives tensors as JSON numbers or in binary, refuses what real servers refuse, and is
tested with NVIDIA's own client where that is installed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from clipworks.errors import InputError

MAX_BATCH = 64
HEAD_LENGTH = "Inference-Header-Content-Length"
DTYPES = {"FP32": np.float32, "INT64": np.int64, "FP64": np.float64}


class RefusalError(Exception):
    """What the server answers instead of embeddings."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Models:
    """`<slug>-image` and `<slug>-text`, as `clipworks export triton` names them."""

    def __init__(self, slug: str, encoder) -> None:
        self.num_requests = 0
        self.inputs = {f"{slug}-image": "pixels", f"{slug}-text": "tokens"}
        self._run = {f"{slug}-image": encoder.encode_images, f"{slug}-text": encoder.encode_texts}

    def infer(self, model: str, input_name: str, batch: np.ndarray) -> np.ndarray:
        self.num_requests += 1
        if model not in self._run:
            raise RefusalError(404, f"Request for unknown model: '{model}' is not found")
        if input_name != self.inputs[model]:
            raise RefusalError(
                400, f"unexpected inference input '{input_name}' for model '{model}'"
            )
        if len(batch) > MAX_BATCH:
            raise RefusalError(400, f"inference request batch-size must be <= {MAX_BATCH}")
        try:
            return self._run[model](batch)
        except InputError as error:
            raise RefusalError(400, str(error)) from error


def _handler(models: Models) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            parts = self.path.strip("/").split("/")
            known = parts[:2] == ["v2", "health"] or (len(parts) > 2 and parts[2] in models.inputs)
            self._answer(200 if known else 404, b"" if known else b'{"error": "not found"}')

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            _, version, kind, model, verb = self.path.split("/")
            assert (version, kind, verb) == ("v2", "models", "infer")
            try:
                name, batch, wants_binary = _decode(content, self.headers.get(HEAD_LENGTH))
                rows = models.infer(model, name, batch)
            except RefusalError as refusal:
                self._answer(refusal.status, json.dumps({"error": str(refusal)}).encode())
                return
            head, body = _encode(model, rows, binary=wants_binary)
            self._answer(200, head + body, {HEAD_LENGTH: str(len(head))} if body else {})

        def _answer(self, status: int, content: bytes, headers: dict[str, str] | None = None):
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    return Handler


def _decode(content: bytes, head_length: str | None) -> tuple[str, np.ndarray, bool]:
    length = int(head_length or len(content))
    head = json.loads(content[:length])
    (tensor,) = head["inputs"]
    dtype, shape = DTYPES[tensor["datatype"]], tensor["shape"]
    size = tensor.get("parameters", {}).get("binary_data_size")
    if size is None:
        batch = np.array(tensor["data"], dtype).reshape(shape)
    else:
        raw = content[length : length + size]
        if len(content) != length + size or size != np.prod(shape) * dtype().nbytes:
            raise RefusalError(400, f"unexpected size of input '{tensor['name']}'")
        batch = np.frombuffer(raw, dtype).reshape(shape)
    (output,) = head["outputs"]
    assert output["name"] == "embeddings"
    return tensor["name"], batch, bool(output.get("parameters", {}).get("binary_data"))


def _encode(model: str, rows: np.ndarray, *, binary: bool) -> tuple[bytes, bytes]:
    output = {"name": "embeddings", "datatype": "FP32", "shape": list(rows.shape)}
    body = rows.tobytes() if binary else b""
    if binary:
        output["parameters"] = {"binary_data_size": len(body)}
    else:
        output["data"] = rows.ravel().tolist()
    answer = {"model_name": model, "model_version": "1", "outputs": [output]}
    return json.dumps(answer).encode(), body


@contextmanager
def serving_http(models: Models) -> Iterator[str]:
    """Give the server's address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(models))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def serving_grpc(models: Models) -> Iterator[str]:
    """Give the address of a gRPC server with the same models."""
    from concurrent.futures import ThreadPoolExecutor

    import grpc

    from clipworks.encoders.kserve_messages import INFER_METHOD, message_class

    codes = {404: grpc.StatusCode.NOT_FOUND, 400: grpc.StatusCode.INVALID_ARGUMENT}

    def infer(request, context):
        (tensor,), (raw,) = request.inputs, request.raw_input_contents
        batch = np.frombuffer(raw, DTYPES[tensor.datatype]).reshape(list(tensor.shape))
        try:
            rows = models.infer(request.model_name, tensor.name, batch)
        except RefusalError as refusal:
            context.abort(codes[refusal.status], str(refusal))
        answer = message_class("ModelInferResponse")(model_name=request.model_name)
        answer.outputs.add(name="embeddings", datatype="FP32", shape=list(rows.shape))
        answer.raw_output_contents.append(rows.tobytes())
        return answer

    _, service, method = INFER_METHOD.split("/")
    handler = grpc.unary_unary_rpc_method_handler(
        infer,
        request_deserializer=message_class("ModelInferRequest").FromString,
        response_serializer=lambda message: message.SerializeToString(),
    )
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {method: handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"grpc://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
