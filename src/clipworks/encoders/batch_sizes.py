"""How many pictures go through a model at once, where nobody says."""

from __future__ import annotations

ON_CPU = 8
"""Measured in float32 and int8 on two runtimes (docs/benchmarks/embedding.md): what a larger batch
holds between two layers falls out of the caches."""

ELSEWHERE = 32


def best_batch_size(device: str) -> int:
    """Pictures in one forward pass on a device, as `load` names it."""
    return ON_CPU if device == "cpu" else ELSEWHERE
