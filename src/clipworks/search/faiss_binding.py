"""FAISS, to the type checker an object of any kind: its stubs lack half of what it has."""

from __future__ import annotations

from typing import Any

import faiss as _faiss

faiss: Any = _faiss
