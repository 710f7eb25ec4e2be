"""How fast one backend runs one model: a program of its own, so that no two runtimes meet.

    python -m clipworks.encoders.backend_probe '{"folder": ..., "backend": ..., ...}'

It prints one line of JSON: what was measured, or the reason why not.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from clipworks.arrays import Pixels
from clipworks.encoders.backend_table import BACKENDS
from clipworks.encoders.bundle import read_bundle
from clipworks.encoders.encoder import AbstractEncoder
from clipworks.errors import ClipworksError

BATCH_SIZES = (1, 16)
_BUDGET_S = 0.7  # of one batch size, once warm
_LONGEST_PASS_S = 2.0  # a larger batch is left out where it would take longer
_MAX_PASSES = 50


def main() -> None:
    """Measure what the first argument asks for."""
    sys.stdout.write(json.dumps(measure(json.loads(sys.argv[1]))) + "\n")


def measure(wanted: dict[str, Any]) -> dict[str, Any]:
    """Load a model and time its image tower.

    Args:
        wanted: the bundle's `folder`, and `backend`, `device`, `precision` as `load` takes them.

    Returns:
        `load_s`, with the first pass, and `seconds_per_image` by batch size; or `error`.
    """
    bundle = read_bundle(Path(wanted["folder"]), check_hashes=False)
    image = bundle.card.image
    pixels = np.random.default_rng(0).normal(size=(max(BATCH_SIZES), 3, image.height, image.width))
    pixels = pixels.astype(np.float32)
    begin = time.perf_counter()
    try:
        encoder: AbstractEncoder = BACKENDS.load(wanted["backend"])(
            bundle, device=wanted["device"], precision=wanted["precision"]
        )
        encoder.encode_images(pixels[:1])
        load_s = time.perf_counter() - begin
        seconds = _time_batches(encoder, pixels)
    except (ClipworksError, ImportError, RuntimeError, OSError) as error:
        return {"error": " ".join(str(error).split())}
    return {"load_s": load_s, "seconds_per_image": seconds}


def _time_batches(encoder: AbstractEncoder, pixels: Pixels) -> dict[str, float]:
    """Seconds for a picture, by batch size."""
    seconds: dict[str, float] = {}
    for size in BATCH_SIZES:
        if size * min(seconds.values(), default=0.0) < _LONGEST_PASS_S:
            seconds[str(size)] = best_time(partial(encoder.encode_images, pixels[:size])) / size
    return seconds


def best_time(work: Callable[[], object]) -> float:
    """The shortest of as many runs as the budget holds, after one that does not count, in seconds.

    The shortest, because whatever else the machine does only ever makes a run longer.
    """
    work()
    best, spent = float("inf"), 0.0
    for _ in range(_MAX_PASSES):
        begin = time.perf_counter()
        work()
        seconds = time.perf_counter() - begin
        best, spent = min(best, seconds), spent + seconds
        if spent > _BUDGET_S:
            break
    return best


if __name__ == "__main__":
    main()
