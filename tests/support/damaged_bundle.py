"""A bundle whose weights are not what they were, though its card says that all is well."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from clipworks.encoders.bundle import WEIGHTS_FILE, Bundle, read_bundle, seal_bundle


def damage(folder: Path, target: Path) -> Bundle:
    """Copy a bundle of float32 weights, add noise to each, and seal it anew."""
    shutil.copytree(folder, target)
    weights = np.fromfile(target / WEIGHTS_FILE, np.uint8)
    (header_length,) = weights[:8].view(np.uint64)
    numbers = weights[8 + int(header_length) :].view(np.float32)
    numbers += 0.05 * np.random.default_rng(0).normal(size=numbers.shape).astype(np.float32)
    weights.tofile(target / WEIGHTS_FILE)
    return seal_bundle(target, read_bundle(folder).card)
