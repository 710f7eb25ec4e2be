"""What a model server may do wrong, and the bytes that go over the wire."""

import socket
import threading
from pathlib import Path

import numpy as np
import pytest

import clipworks
from clipworks.encoders import kserve_grpc, kserve_http
from clipworks.encoders.backends import kserve_encoder
from clipworks.encoders.bundle import read_bundle
from clipworks.encoders.kserve_messages import message_class
from clipworks.encoders.served_names import served_name
from clipworks.errors import InputError, ServerError, SettingsError, UnknownModelError
from tests.support.kserve_server import Models, serving_grpc, serving_http

GOLDEN = Path(__file__).parents[2] / "golden" / "kserve"
HEAD_BYTES = 168
TOKENS = np.arange(12, dtype=np.int64).reshape(2, 6) * 1000003 - 5
ROWS = np.arange(6, dtype=np.float32).reshape(2, 3) / 7
SERVING = pytest.mark.parametrize("serving", [serving_http, serving_grpc])


@pytest.fixture(scope="module")
def bundle(tiny_bundle_folder):
    return read_bundle(tiny_bundle_folder, check_hashes=False)


class Constant:
    """Stands for a model; gives the same row for everything."""

    def __init__(self, width=24, error=None):
        self.width, self.error = width, error

    def encode_images(self, pixels):
        if self.error:
            raise self.error
        return np.ones((len(pixels), self.width), np.float32)

    encode_texts = encode_images


def pixels(count):
    return np.zeros((count, 3, 16, 16), np.float32)


def load(bundle, address):
    return clipworks.load(bundle, device=address, backend="kserve").encoder


def test_names_in_the_repository():
    assert served_name("ViT-B-32/openai", "image") == "ViT-B-32--openai-image"
    assert served_name("pictograms", "text") == "pictograms-text"


def test_http_requests_are_what_tritonclient_sends():
    theirs = (GOLDEN / "http_request.bin").read_bytes()
    head, body = kserve_http.encode_request("tokens", TOKENS)
    assert kserve_http.json.loads(head) == kserve_http.json.loads(theirs[:HEAD_BYTES])
    assert body == theirs[HEAD_BYTES:]


def test_grpc_requests_are_what_tritonclient_sends():
    request = kserve_grpc.encode_request("ViT-B-32--openai-text", "tokens", TOKENS)
    assert request.SerializeToString() == (GOLDEN / "grpc_request.bin").read_bytes()


@pytest.mark.parametrize("name", ["grpc_response.bin", "grpc_response_typed.bin"])
def test_grpc_answers_are_read(name):
    answer = message_class("ModelInferResponse").FromString((GOLDEN / name).read_bytes())
    server = kserve_grpc.GrpcModelServer("127.0.0.1:1", "m", timeout_s=1)
    np.testing.assert_array_equal(server._decode("m-text", answer), ROWS)


@SERVING
def test_large_batches_go_in_parts(bundle, serving):
    models = Models("tiny", Constant())
    with serving(models) as address:
        rows = load(bundle, address).encode_images(pixels(100))
    assert rows.shape == (100, 24)
    assert models.num_requests == 4
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


@SERVING
def test_an_unknown_model_says_what_to_do(bundle, serving):
    with (
        serving(Models("another", Constant())) as address,
        pytest.raises(UnknownModelError, match=r"does not serve tiny-image.*export triton"),
    ):
        load(bundle, address).encode_images(pixels(1))


@SERVING
def test_another_models_embeddings_are_refused(bundle, serving):
    with (
        serving(Models("tiny", Constant(width=7))) as address,
        pytest.raises(ServerError, match=r"\[1, 7\], expected \[1, 24\]"),
    ):
        load(bundle, address).encode_images(pixels(1))


@SERVING
def test_the_servers_own_words_are_told(bundle, serving):
    models = Models("tiny", Constant(error=InputError("the lens cap is on")))
    with serving(models) as address, pytest.raises(InputError, match="the lens cap is on"):
        load(bundle, address).encode_images(pixels(1))


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_server_that_is_away(bundle, scheme, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr(kserve_encoder, "_TIMEOUT_S", 5.0)
    with pytest.raises(ServerError, match=f"127.0.0.1:{port} does not answer: is it up"):
        load(bundle, f"{scheme}://127.0.0.1:{port}").encode_images(pixels(1))


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_server_that_says_nothing(bundle, scheme, monkeypatch):
    monkeypatch.setattr(kserve_encoder, "_TIMEOUT_S", 0.3)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        address = f"{scheme}://127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(ServerError, match=r"has not answered within 0\.3 s|does not answer"):
            load(bundle, address).encode_images(pixels(1))


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (b'HTTP/1.1 500 x\r\nContent-Length: 17\r\n\r\n{"error": "ouch"}', ServerError, "ouch"),
        (b"HTTP/1.1 503 x\r\nContent-Length: 9\r\n\r\n<nginx/> ", ServerError, "<nginx/>"),
        (b"HTTP/1.1 200 x\r\nContent-Length: 4\r\n\r\nnope", ServerError, "not with embeddings"),
        (b"HTTP/1.1 200 x\r\nContent-Length: 2\r\n\r\n{}", ServerError, "not with embeddings"),
        (b"gibberish\r\n\r\n", ServerError, "does not answer"),
    ],
)
def test_answers_that_are_none(bundle, answer, error, message):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def reply():
            connection, _ = listening.accept()
            with connection:
                received = b""
                while len(received) < 3 * 16 * 16 * 4:
                    received += connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=reply)
        thread.start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(error, match=message):
            load(bundle, address).encode_images(pixels(1))
        thread.join()


@pytest.mark.parametrize("device", ["cpu", "host:8000", "ftp://host", "http://"])
def test_what_is_no_address_is_refused(bundle, device):
    with pytest.raises(SettingsError, match="takes an address, http://host:8000 or grpc://"):
        load(bundle, device)


def test_the_precision_is_the_servers_business(bundle):
    with pytest.raises(SettingsError, match="precision bf16"):
        clipworks.load(bundle, backend="kserve", device="http://h:1", precision="bf16")
