"""The three arrays that travel between folders.

Axes: image (pictures in a batch), text (texts in a batch), dim (width of the joint space),
h and w (pixels), context (token positions).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64

Pixels = Float32[np.ndarray, "image 3 h w"]
"""Normalised pictures, channels first, RGB."""

Tokens = Int64[np.ndarray, "text context"]
"""Token ids, padded to the model's context."""

Embeddings = Float32[np.ndarray, "row dim"]
"""Unit rows: the dot product of two is their cosine."""


def normalize_rows(rows: Float32[np.ndarray, "row dim"]) -> Embeddings:
    """Scale each row to unit length.

    Rows shorter than 1e-12 come back as they are: there is no direction to keep.
    """
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.maximum(norms, 1e-12)).astype(np.float32, copy=False)
