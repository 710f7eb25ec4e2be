"""Which large files were hashed before: one that has not changed since is not hashed again.

Hashing a ViT-L/14 takes more than a second of every command that loads it. What was found once is
kept in the cache folder, under the file's inode, so that it outlives a rename, together with its
size and its times of change. Whoever writes to the file changes one of these: `ctime`, unlike
`mtime`, cannot be set back.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from clipworks.files import cache_folder, sha256_of_file, write_json_atomic

_SMALLEST_KEPT_BYTES = 1 << 20  # what is smaller is hashed sooner than looked up


@dataclass(frozen=True)
class _FileState:
    """What the file system says of a file without reading it."""

    device: int
    inode: int
    size_bytes: int
    modified_ns: int
    changed_ns: int


def digest_of(path: Path) -> str:
    """The file's SHA-256 as hex digits, from memory where the file has not changed since."""
    state = _state_of(path)
    if state.size_bytes < _SMALLEST_KEPT_BYTES:
        return sha256_of_file(path)
    note = cache_folder() / "checked" / f"{state.device}-{state.inode}.json"
    known = _read_note(note)
    if known.get("state") == asdict(state) and "sha256" in known:
        return known["sha256"]
    digest = sha256_of_file(path)
    if _state_of(path) == state:
        _keep_note(note, {"state": asdict(state), "sha256": digest})
    return digest


def _state_of(path: Path) -> _FileState:
    status = path.stat()
    return _FileState(
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )


def _read_note(note: Path) -> dict:
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _keep_note(note: Path, content: dict) -> None:
    try:
        write_json_atomic(note, content)
    except OSError:
        return  # a cache that cannot be written costs time, and nothing else
