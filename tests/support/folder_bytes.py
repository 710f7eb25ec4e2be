"""What an embedding folder holds to the last byte, but for the times in its records."""

from __future__ import annotations

import json
from pathlib import Path

TIMES = {
    "start_time",
    "end_time",
    "read_duration",
    "decode_duration",
    "inference_duration",
    "write_duration",
    "total_duration",
}


def folder_bytes(folder: Path) -> dict[str, bytes]:
    """Every file's content by its name below the folder; times are taken out of `stats/`."""
    return {
        path.relative_to(folder).as_posix(): _timeless(path, folder)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _timeless(path: Path, folder: Path) -> bytes:
    if path.parent != folder / "stats":
        return path.read_bytes()
    record = json.loads(path.read_text())
    assert set(record) >= TIMES
    return json.dumps({name: v for name, v in record.items() if name not in TIMES}).encode()
