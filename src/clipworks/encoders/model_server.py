"""A model server that speaks KServe v2: what is asked of it, and what its refusals mean.

Axes: row (pictures or texts in a batch), dim (width of the joint space).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Float32

from clipworks.encoders.served_names import (
    EMBEDDINGS_TENSOR,
    PIXELS_TENSOR,
    TOKENS_TENSOR,
    Tower,
)
from clipworks.errors import ClipworksError, InputError, ServerError, UnknownModelError

INPUT_NAMES: dict[Tower, str] = {"image": PIXELS_TENSOR, "text": TOKENS_TENSOR}
OUTPUT_NAME = EMBEDDINGS_TENSOR
DATATYPES = {"float32": "FP32", "int64": "INT64"}
"""KServe's names of the types that we send."""


class AbstractModelServer(ABC):
    """A connection, which several threads may use at a time."""

    @abstractmethod
    def infer(self, tower: Tower, batch: np.ndarray) -> Float32[np.ndarray, "row dim"]:
        """Send one batch through one tower.

        Raises:
            ServerError: it is away, or answers something else than embeddings.
            UnknownModelError: it has no such model.
            InputError: it refuses what the batch holds.
        """


def explain_refusal(
    server: str, model: str, text: str, *, unknown: bool, bad_input: bool
) -> ClipworksError:
    """The error for a server's refusal, with the server's own words.

    Args:
        server: its address.
        model: that was asked.
        text: what the server said.
        unknown: whether its code says that there is no such model.
        bad_input: whether its code says that the request is at fault.
    """
    said = " ".join(text.split()) or "no reason given"
    # Triton has called an unknown model a bad request, or unavailable.
    if unknown or "unknown model" in said.lower():
        return UnknownModelError(
            f"{server} does not serve {model} (it says: {said}): "
            "clipworks export triton writes the models that it needs"
        )
    if bad_input:
        return InputError(f"{server} refuses the input of {model}: {said}")
    return ServerError(f"{server} failed to run {model}: {said}")


def read_rows(
    server: str, model: str, content: bytes | None, shape: list[int], datatype: str
) -> Float32[np.ndarray, "row dim"]:
    """Turn an answer's bytes into rows.

    Raises:
        ServerError: they are not the float32 matrix that they are said to be.
    """
    if (
        datatype != "FP32"
        or len(shape) != 2
        or content is None
        or len(content) != 4 * np.prod(shape)
    ):
        size = "no" if content is None else len(content)
        raise ServerError(
            f"{server}: {model} answers {datatype} {shape} in {size} bytes, expected {OUTPUT_NAME} "
            "as FP32 [row, dim] in binary"
        )
    return np.frombuffer(content, "<f4").reshape(shape)  # [row dim]
