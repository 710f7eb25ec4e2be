"""One tower's graph in ONNX Runtime.

Axes: row (pictures or texts in a batch), dim (width of the joint space).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, final

import numpy as np
import onnxruntime as ort
from jaxtyping import Float32

from clipworks.encoders.graph_signature import Feeds, GraphInput, GraphSignature
from clipworks.errors import BundleError

Provider = str | tuple[str, dict[str, str]]
"""An execution provider of ONNX Runtime, alone or with its options."""

_FATAL = 4  # onnxruntime's own log: what goes wrong comes to us as an exception
_DTYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}


@final
class OnnxGraph:
    """A graph that is loaded and knows its inputs and its embedding.

    Args:
        path: of the graph; weights in further files lie beside it.
        providers: of ONNX Runtime, the best first.
        num_threads: of one forward pass.
        end_id: the token after which an attention mask hides the rest, for graphs that take one.
        pooled: whether what the tower pools is the embedding.
        constants: what further inputs get in every run; the arrays may change in between.

    Raises:
        BundleError: it cannot be loaded, or takes or gives what no bundle's graph does.
    """

    def __init__(
        self,
        path: Path,
        *,
        providers: list[Provider],
        num_threads: int,
        end_id: int | None = None,
        pooled: bool = False,
        constants: Feeds | None = None,
    ) -> None:
        self._end_id = end_id
        self._constants = constants or {}
        self._session = _open(path, providers, num_threads)
        inputs = {
            one.name: _describe(one)
            for one in self._session.get_inputs()
            if one.name not in self._constants
        }
        outputs = [one.name for one in self._session.get_outputs()]
        self._signature = GraphSignature.find(path, inputs, outputs, pooled=pooled)

    def __call__(self, batch: np.ndarray) -> Float32[np.ndarray, "row dim"]:
        """Run pixels or tokens through the graph; the rows come as the graph gives them.

        Raises:
            BundleError: the graph takes arrays of another type.
            InvalidArgument: onnxruntime's, where a shape or a value is not for this graph.
        """
        return self._signature.run(batch, self._run, end_id=self._end_id)

    def _run(self, feeds: Feeds) -> Float32[np.ndarray, "row dim"]:
        options = ort.RunOptions()
        options.log_severity_level = _FATAL
        (rows,) = self._session.run([self._signature.output], feeds | self._constants, options)
        return np.asarray(rows, np.float32)


def _describe(one: Any) -> GraphInput:  # noqa: ANN401 - untyped there
    size = one.shape[0]
    return GraphInput(one.type, _DTYPES.get(one.type), size if isinstance(size, int) else None)


def _open(path: Path, providers: list[Provider], num_threads: int) -> Any:  # noqa: ANN401 - untyped there
    options = ort.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.log_severity_level = _FATAL
    try:
        return ort.InferenceSession(path, options, providers=providers)
    except Exception as error:
        # onnxruntime's exceptions share no base class but this one
        reason = " ".join(str(error).split())
        raise BundleError(f"{path}: onnxruntime cannot load it: {reason}") from error
