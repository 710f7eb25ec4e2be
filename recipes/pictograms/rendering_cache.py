"""Renderings kept between runs, so that a killed or repeated run draws only what is new."""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from pathlib import Path
from types import TracebackType

from recipes.pictograms.drawings import Drawing
from recipes.pictograms.pictures import SIZE_PX

RENDERER = f"1 {SIZE_PX}"
COMMIT_EVERY = 500
Outcome = tuple[bytes, str]


def digest(drawing: Drawing) -> bytes:
    """Return a hash of what is drawn and of how; raise `RENDERER` when `pictures.py` changes."""
    content = drawing.svg.encode() if drawing.path is None else drawing.path.read_bytes()
    return hashlib.sha256(RENDERER.encode() + content).digest()


class RenderingCache:
    """Pixels, or the reason why there are none, by digest, in one SQLite file."""

    def __init__(self, path: Path) -> None:
        self._store = sqlite3.connect(path)
        self._store.execute(
            "CREATE TABLE IF NOT EXISTS renderings "
            "(digest BLOB PRIMARY KEY, pixels BLOB NOT NULL, reason TEXT NOT NULL)"
        )
        self._waiting = 0

    def __enter__(self) -> RenderingCache:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._store.commit()
        self._store.close()

    def get(self, key: bytes) -> Outcome | None:
        """Return what was kept under a digest, or None."""
        query = "SELECT pixels, reason FROM renderings WHERE digest = ?"
        row = self._store.execute(query, (key,)).fetchone()
        return None if row is None else (zlib.decompress(row[0]), row[1])

    def put(self, key: bytes, outcome: Outcome) -> None:
        """Keep an outcome; it is on disk after COMMIT_EVERY of them, or at the end."""
        pixels, reason = outcome
        row = (key, zlib.compress(pixels, 1), reason)
        self._store.execute("INSERT OR REPLACE INTO renderings VALUES (?, ?, ?)", row)
        self._waiting += 1
        if self._waiting % COMMIT_EVERY == 0:
            self._store.commit()
