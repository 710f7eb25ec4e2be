"""The run's log: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipworks.files import write_bytes_atomic


class Journal:
    """Appends lines to a file; each has the number of steps that were done."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, step: int, entries: Mapping[str, Any]) -> None:
        """Append one line."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"step": step, **entries}) + "\n")

    def read(self) -> list[dict[str, Any]]:
        """Every line; one that a kill cut short is left out."""
        if not self._path.exists():
            return []
        entries = []
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                entries.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return entries

    def forget_after(self, step: int) -> None:
        """Drop the lines of later steps, which a resumed run will write again."""
        kept = [entry for entry in self.read() if entry["step"] <= step]
        if self._path.exists():
            text = "".join(json.dumps(entry) + "\n" for entry in kept)
            write_bytes_atomic(self._path, text.encode())
