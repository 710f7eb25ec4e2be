"""One embedding that the user brings: an array, a list, or a file of either."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from clipworks.errors import InputError


def read_vector(path: Path) -> Float32[np.ndarray, "dim"]:
    """Read an embedding from `.npy`, or from JSON with a list of numbers.

    Raises:
        InputError: the file cannot be read as such.
    """
    try:
        if path.suffix.lower() == ".npy":
            content = np.load(path, allow_pickle=False)
        else:
            content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (OSError, ValueError, EOFError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as an embedding: {error}") from error
    return check_vector(content, str(path))


def check_vector(numbers: Sequence[float] | np.ndarray, name: str) -> Float32[np.ndarray, "dim"]:
    """The numbers as float32 [dim]; a single row [1 dim] counts as one embedding.

    Raises:
        InputError: no list of finite numbers, or all of them are 0.
    """
    try:
        vector = np.asarray(numbers, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: expected a list of numbers") from error
    if vector.ndim == 2 and len(vector) == 1:
        vector = vector[0]
    if vector.ndim != 1 or not vector.size:
        raise InputError(f"{name}: expected one list of numbers, got shape {list(vector.shape)}")
    if not np.isfinite(vector).all() or not vector.any():
        raise InputError(f"{name}: expected finite numbers, not all of them 0")
    # Scaled first: the extremes of float64 are nothing to float32.
    return (vector / np.abs(vector).max()).astype(np.float32)
