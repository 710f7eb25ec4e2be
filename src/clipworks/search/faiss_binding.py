"""FAISS, to the type checker an object of any kind: its stubs lack half of what it has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import faiss as _faiss

faiss: Any = _faiss


@contextmanager
def one_thread() -> Iterator[None]:
    """Let FAISS work in the thread that asks: many small steps take longer shared than alone.

    Threads of OpenMP wait for each other after each step, and the more so on a busy machine.
    """
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # of this thread alone, as OpenMP has it
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
