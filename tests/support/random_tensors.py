"""Random weights that are the same on every machine: only their names and shapes are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

SCALARS = {"logit_scale": 2.3, "logit_bias": -3.7}


def random_tensors(shapes: Mapping[str, Sequence[int]], seed: int) -> dict[str, np.ndarray]:
    """Numbers for each name, in the names' order: NumPy's generator keeps its stream."""
    random = np.random.default_rng(seed)
    return {name: _numbers(name, tuple(shapes[name]), random) for name in sorted(shapes)}


def _numbers(name: str, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    if name in SCALARS:
        return np.full(shape, SCALARS[name], np.float32)
    numbers = random.standard_normal(shape)
    if len(shape) == 1:  # a norm's weight is about 1, a bias about 0
        numbers = 0.2 * numbers + ("norm" in name and name.endswith("weight"))
    elif "embed" not in name:
        numbers *= 1.5 / np.sqrt(np.prod(shape[1:]))
    return numbers.astype(np.float32)
