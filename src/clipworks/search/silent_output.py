"""FAISS's C++ prints lines about files on stdout, where the commands' results belong."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STDOUT = 1
_one_at_a_time = threading.Lock()


@contextmanager
def silent_output() -> Iterator[None]:
    """Throw away what is printed meanwhile, by C++ too; keep the block short.

    The standard output is the process's, so that other threads' lines are lost meanwhile as well.
    """
    library = ctypes.CDLL(None)
    with _one_at_a_time:
        sys.stdout.flush()
        library.fflush(None)
        kept = os.dup(_STDOUT)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, _STDOUT)
        try:
            yield
        finally:
            library.fflush(None)  # C++ keeps lines back where stdout is no terminal
            os.dup2(kept, _STDOUT)
            os.close(kept)
            os.close(nowhere)
