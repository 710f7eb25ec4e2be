"""One tower's graph in ONNX Runtime, whoever exported it.

Exports differ in what they take and give: int32 or int64 tokens, float16 or float32 pictures, a
batch of any size or of one size only, an attention mask, more outputs than the embedding.

Axes: row (pictures or texts in a batch), dim (width of the joint space).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, final

import numpy as np
import onnxruntime as ort
from jaxtyping import Float32

from clipworks.errors import BundleError

_FATAL = 4  # onnxruntime's own log: what goes wrong comes to us as an exception
_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}
_MASK = "attention_mask"
_EMBEDDING_NAMES = ("embedding", "embeddings", "image_embeds", "text_embeds")


@final
class OnnxGraph:
    """A graph that is loaded and knows its inputs and its embedding.

    Args:
        path: of the graph; weights in further files lie beside it.
        providers: of ONNX Runtime, the best first.
        num_threads: of one forward pass.
        end_id: the token after which an attention mask hides the rest, for graphs that take one.

    Raises:
        BundleError: it cannot be loaded, or takes or gives what no bundle's graph does.
    """

    def __init__(
        self, path: Path, *, providers: list[str], num_threads: int, end_id: int | None = None
    ) -> None:
        self._path = path
        self._end_id = end_id
        self._session = _open(path, providers, num_threads)
        inputs = {one.name: one for one in self._session.get_inputs()}
        self._mask = inputs.pop(_MASK, None)
        if len(inputs) != 1:
            raise BundleError(f"{path} takes {', '.join(inputs)}: expected one input, and a mask")
        (self._input,) = inputs.values()
        self._output = _find_embedding(path, [one.name for one in self._session.get_outputs()])

    def __call__(self, batch: np.ndarray) -> Float32[np.ndarray, "row dim"]:
        """Run pixels or tokens through the graph; the rows come as the graph gives them.

        Raises:
            BundleError: the graph takes arrays of another type.
            InvalidArgument: onnxruntime's, where a shape or a value is not for this graph.
        """
        dtype = _DTYPES.get(self._input.type)
        if dtype is None or np.issubdtype(dtype, np.integer) != (batch.dtype.kind == "i"):
            raise BundleError(
                f"{self._path} takes {self._input.name} as {self._input.type}, not {batch.dtype}"
            )
        fixed = self._input.shape[0]
        if not isinstance(fixed, int):
            return self._run(np.ascontiguousarray(batch, dtype))
        parts = [batch[begin : begin + fixed] for begin in range(0, len(batch), fixed)]
        padded = [np.resize(part, (fixed, *part.shape[1:])).astype(dtype) for part in parts]
        return np.concatenate([self._run(part) for part in padded])[: len(batch)]

    def _run(self, batch: np.ndarray) -> Float32[np.ndarray, "row dim"]:
        feeds = {self._input.name: batch}
        if self._mask is not None:
            mask = _mask_after(batch, self._end_id)
            feeds[_MASK] = mask.astype(_DTYPES.get(self._mask.type, np.int64))
        options = ort.RunOptions()
        options.log_severity_level = _FATAL
        (rows,) = self._session.run([self._output], feeds, options)
        return np.asarray(rows, np.float32)


def _open(path: Path, providers: list[str], num_threads: int) -> Any:  # noqa: ANN401 - untyped there
    options = ort.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.log_severity_level = _FATAL
    try:
        return ort.InferenceSession(path, options, providers=providers)
    except Exception as error:
        # onnxruntime's exceptions share no base class but this one
        reason = " ".join(str(error).split())
        raise BundleError(f"{path}: onnxruntime cannot load it: {reason}") from error


def _find_embedding(path: Path, outputs: list[str]) -> str:
    """The output that is the embedding: an only one, or the one that is named so.

    Not by its shape: a tower's pooled vector before the projection often has the same.
    """
    named = [name for name in outputs if name in _EMBEDDING_NAMES]
    found = outputs if len(outputs) == 1 else named
    if len(found) != 1:
        raise BundleError(
            f"{path} gives {', '.join(outputs)}: expected one output, or one named "
            f"{', '.join(_EMBEDDING_NAMES)}"
        )
    return found[0]


def _mask_after(tokens: np.ndarray, end_id: int | None) -> np.ndarray:
    """1 up to the first end token of each row, 0 after it; 1 everywhere where there is none."""
    is_end = tokens == (-1 if end_id is None else end_id)
    return (np.cumsum(is_end, axis=1) - is_end) == 0
