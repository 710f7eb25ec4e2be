"""What the machine has to compute with."""

from __future__ import annotations

import os


def count_cores() -> int:
    """Cores that this process may use: fewer than the machine's where it is pinned to some."""
    if hasattr(os, "sched_getaffinity"):  # Linux only
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
