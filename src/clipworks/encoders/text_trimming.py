"""Texts cut behind the longest of a batch, for towers that padding cannot change.

In a causal tower no token sees those behind it, so what stands behind the pooled one is work for
nothing: most texts fill a fifth of the context.

Axes: text (rows of a batch), context (token positions).
"""

from __future__ import annotations

import numpy as np

from clipworks.arrays import Tokens

_STEP = 8  # tokens; few different lengths, since some runtimes prepare for each anew


def trim_padding(tokens: Tokens, end_id: int | None) -> Tokens:
    """Cut tokens [text context] to what their longest text needs, rounded up to eights.

    A text ends where it is pooled: at its first end token or at its highest id, whichever is later.
    A text without an end token keeps its whole length, and so does its batch.
    """
    context = tokens.shape[1]
    is_end = tokens == (-1 if end_id is None else end_id)
    if not len(tokens) or not is_end.any(axis=1).all():
        return tokens
    longest = int(np.maximum(is_end.argmax(axis=1), tokens.argmax(axis=1)).max()) + 1
    return tokens[:, : min(-(-longest // _STEP) * _STEP, context)]
