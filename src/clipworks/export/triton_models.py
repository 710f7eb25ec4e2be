"""What Triton's Python backend runs: decoding, tokenising, and the towers through any backend.

An exported `model.py` imports one of these classes as its `TritonPythonModel`. The bundle, or its
card alone, lies beside that file. Triton's side of the interface, `triton_python_backend_utils`,
exists only inside the server.

Axes: image, text (rows of a request), 3 h w (pixels), context (token positions), dim (width of
the joint space).
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Shaped

from clipworks.arrays import Pixels, Tokens
from clipworks.devices import count_cores
from clipworks.encoders.bundle import CARD_FILE, TOKENIZER_FILE, read_bundle, read_card
from clipworks.encoders.embedder import Embedder
from clipworks.encoders.loading import load
from clipworks.encoders.served_names import (
    EMBEDDINGS_TENSOR,
    IMAGE_TENSOR,
    PIXELS_TENSOR,
    TEXT_TENSOR,
    TOKENS_TENSOR,
)
from clipworks.errors import ClipworksError, InvalidTextError
from clipworks.inputs.decoding import decode_image
from clipworks.inputs.images import ImageTransform
from clipworks.inputs.text_tokenizer import TextTokenizer

BUNDLE_FOLDER = "bundle"
"""Where a tower's bundle lies, beside its `model.py`."""

_Rows = Shaped[np.ndarray, "row ..."]


@final
class PreprocessModel:
    """Encoded pictures to pixels; a picture that cannot be read fails its own request only."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Read the card and start the threads that decode."""
        self._triton = importlib.import_module("triton_python_backend_utils")
        spec = read_card(_version_folder(args) / CARD_FILE).image
        self._shape = (3, spec.height, spec.width)
        self._transform = ImageTransform(spec)
        self._threads = ThreadPoolExecutor(_cores_of_instance(args))

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer each request; the pictures of all are decoded side by side."""
        pending = [
            [self._threads.submit(self._read, content) for content in rows.reshape(-1)]
            for rows in (_rows(self._triton, request, IMAGE_TENSOR) for request in requests)
        ]

        def collect(index: int) -> Pixels:
            pixels = np.empty((len(pending[index]), *self._shape), np.float32)
            for slot, future in zip(pixels, pending[index], strict=True):
                slot[...] = future.result()
            return pixels

        return [
            _answer(self._triton, PIXELS_TENSOR, lambda i=index: collect(i))
            for index in range(len(requests))
        ]

    def finalize(self) -> None:
        """Stop the threads."""
        self._threads.shutdown()

    def _read(self, content: bytes) -> np.ndarray:
        return self._transform(decode_image(content))


@final
class TokenizeModel:
    """Texts to tokens; a text that is not UTF-8 fails its own request only."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Read the card and the tokenizer."""
        self._triton = importlib.import_module("triton_python_backend_utils")
        folder = _version_folder(args)
        card = read_card(folder / CARD_FILE)
        self._tokenizer = TextTokenizer(folder / TOKENIZER_FILE, card.text)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer each request."""
        arrays = [_rows(self._triton, request, TEXT_TENSOR) for request in requests]
        return [
            _answer(self._triton, TOKENS_TENSOR, lambda rows=rows: self._tokenize(rows))
            for rows in arrays
        ]

    def _tokenize(self, rows: _Rows) -> Tokens:
        return self._tokenizer([_decode(content) for content in rows.reshape(-1)])


@final
class ImageTowerModel:
    """Pixels to embeddings, through `clipworks.load`."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load the bundle with the backend that the configuration names."""
        self._triton = importlib.import_module("triton_python_backend_utils")
        self._encode = _load(args).encoder.encode_images

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer all requests with one pass."""
        return _answer_together(self._triton, requests, PIXELS_TENSOR, self._encode)


@final
class TextTowerModel:
    """Tokens to embeddings, through `clipworks.load`."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load the bundle with the backend that the configuration names."""
        self._triton = importlib.import_module("triton_python_backend_utils")
        self._encode = _load(args).encoder.encode_texts

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer all requests with one pass."""
        return _answer_together(self._triton, requests, TOKENS_TENSOR, self._encode)


def _version_folder(args: Mapping[str, str]) -> Path:
    return Path(args["model_repository"]) / args["model_version"]


def _load(args: Mapping[str, str]) -> Embedder:
    """The bundle beside `model.py`, as `config.pbtxt` wants it run.

    Its hashes were checked when it was exported.
    """
    parameters = json.loads(args["model_config"])["parameters"]
    settings = {key: one["string_value"] for key, one in parameters.items()}
    return load(
        read_bundle(_version_folder(args) / BUNDLE_FOLDER, check_hashes=False),
        backend=settings["backend"],
        device=settings["device"],
        num_threads=_cores_of_instance(args),
    )


def _cores_of_instance(args: Mapping[str, str]) -> int:
    """The copies of a model share the cores."""
    groups = json.loads(args["model_config"])["instance_group"]
    return max(1, count_cores() // sum(group["count"] for group in groups))


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidTextError(f"a text is not UTF-8: {error}") from error


def _rows(triton: Any, request: Any, name: str) -> _Rows:  # noqa: ANN401 - Triton's own types
    return triton.get_input_tensor_by_name(request, name).as_numpy()


def _answer(triton: Any, name: str, make: Callable[[], np.ndarray]) -> Any:  # noqa: ANN401
    try:
        return triton.InferenceResponse([triton.Tensor(name, make())])
    except ClipworksError as error:
        refusal = triton.TritonError(str(error), triton.TritonError.INVALID_ARG)
        return triton.InferenceResponse(error=refusal)


def _answer_together(
    triton: Any,  # noqa: ANN401
    requests: Sequence[Any],
    name: str,
    encode: Callable[[np.ndarray], np.ndarray],
) -> list[Any]:
    parts = [_rows(triton, request, name) for request in requests]
    rows = encode(np.concatenate(parts))
    ends = np.cumsum([len(part) for part in parts])[:-1]
    return [
        triton.InferenceResponse([triton.Tensor(EMBEDDINGS_TENSOR, part)])
        for part in np.split(rows, ends)
    ]
