"""What one tower's ONNX graph takes and gives, whoever exported it.

Exports differ in what they take and give: int32 or int64 tokens, float16 or float32 pictures, a
batch of any size or of one size only, an attention mask, more outputs than the embedding.

Axes: row (pictures or texts in a batch), dim (width of the joint space).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from jaxtyping import Float32

from clipworks.errors import BundleError

MASK = "attention_mask"
_EMBEDDING_NAMES = ("embedding", "embeddings", "image_embeds", "text_embeds")
_POOLED_NAME = "pooler_output"

Feeds = dict[str, np.ndarray]
"""Arrays by the names of a graph's inputs."""


@dataclass(frozen=True)
class GraphInput:
    """One input of a graph.

    Attributes:
        type_name: of its elements, as the runtime calls it, for messages.
        dtype: of its elements; None where it is none that a bundle's graph may take.
        batch_size: rows, where only one number of them is taken; None for any.
    """

    type_name: str
    dtype: type[np.generic] | None
    batch_size: int | None


@dataclass(frozen=True)
class GraphSignature:
    """The one input that matters, the mask beside it, and the output that is the embedding."""

    path: Path
    input_name: str
    input: GraphInput
    mask: GraphInput | None
    output: str

    @classmethod
    def find(
        cls,
        path: Path,
        inputs: Mapping[str, GraphInput],
        outputs: Sequence[str],
        *,
        pooled: bool = False,
    ) -> Self:
        """Tell the inputs and outputs of a graph apart.

        Args:
            path: of the graph, for messages.
            inputs: by name.
            outputs: their names.
            pooled: whether what the tower pools is the embedding, as in SigLIP, which has no
                projection; in a CLIP of transformers it is another vector.

        Raises:
            BundleError: it takes or gives what no bundle's graph does.
        """
        others = {name: one for name, one in inputs.items() if name != MASK}
        if len(others) != 1:
            raise BundleError(f"{path} takes {', '.join(others)}: expected one input, and a mask")
        ((name, only),) = others.items()
        return cls(path, name, only, inputs.get(MASK), _find_embedding(path, outputs, pooled))

    def run(
        self,
        batch: np.ndarray,
        forward: Callable[[Feeds], Float32[np.ndarray, "row dim"]],
        *,
        end_id: int | None,
    ) -> Float32[np.ndarray, "row dim"]:
        """Run a batch of pixels or tokens, cut and padded where the graph wants one size.

        Args:
            batch: at least one row.
            forward: the runtime: feeds to rows.
            end_id: the token after which an attention mask hides the rest.

        Raises:
            BundleError: the graph takes arrays of another type.
        """
        parts = [forward(feeds) for feeds in self._feeds(batch, end_id)]
        return (parts[0] if len(parts) == 1 else np.concatenate(parts))[: len(batch)]

    def _feeds(self, batch: np.ndarray, end_id: int | None) -> Iterator[Feeds]:
        dtype, size = self.input.dtype, self.input.batch_size
        if dtype is None or np.issubdtype(dtype, np.integer) != (batch.dtype.kind == "i"):
            raise BundleError(
                f"{self.path} takes {self.input_name} as {self.input.type_name}, not {batch.dtype}"
            )
        for begin in range(0, len(batch), size or len(batch)):
            part = batch[begin : begin + size] if size else batch
            if size and len(part) < size:
                part = np.resize(part, (size, *part.shape[1:]))
            feeds = {self.input_name: np.ascontiguousarray(part, dtype)}
            if self.mask:
                feeds[MASK] = mask_after(part, end_id).astype(self.mask.dtype or np.int64)
            yield feeds


def _find_embedding(path: Path, outputs: Sequence[str], pooled: bool) -> str:
    """The output that is the embedding: an only one, or the one that is named so.

    Not by its shape: a tower's pooled vector before the projection often has the same.
    """
    names = (*_EMBEDDING_NAMES, _POOLED_NAME) if pooled else _EMBEDDING_NAMES
    named = [name for name in outputs if name in names]
    found = outputs if len(outputs) == 1 else named
    if len(found) != 1:
        raise BundleError(
            f"{path} gives {', '.join(outputs)}: expected one output, or one named "
            f"{', '.join(names)}"
        )
    return found[0]


def mask_after(tokens: np.ndarray, end_id: int | None) -> np.ndarray:
    """1 up to the first end token of each row, 0 after it; 1 everywhere where there is none."""
    is_end = tokens == (-1 if end_id is None else end_id)
    return (np.cumsum(is_end, axis=1) - is_end) == 0
