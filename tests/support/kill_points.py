"""Kills a change of a folder at each of its steps on disk, and says what was left each time.

    python -m tests.support.kill_points FOLDER add|compact|delete STRIDE [OTHER]

Every step is a child of its own, which dies by SIGKILL at its n-th event (open for writing, rename,
link, remove ...) as Python's audit hooks tell of them; STRIDE says how many events lie between two
kills. A line of JSON for each: what a search then finds in the folder. It ends with the first child
that nobody killed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np

from clipworks.search.build import BuildOrder
from clipworks.search.folder_changes import add_folder, compact_folder, delete_rows
from clipworks.search.index_folder import open_index

EVENTS = {
    "open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree",
    "clipworks.exchange",
}  # fmt: skip
_QUIET = ".pyc", ".py", "/proc", "/dev", "/sys"


def main() -> None:
    folder, change, stride, *others = sys.argv[1:]
    work = Path(folder).parent / "killed"
    for number in range(1, 1000, int(stride)):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        copy = work / "out"
        shutil.copytree(folder, copy)
        killed = run_killed(copy, change, others, number)
        sys.stdout.write(json.dumps({"killed": killed, **found_in(copy)}) + "\n")
        sys.stdout.flush()
        if not killed:
            return


def run_killed(folder: Path, change: str, others: list[str], number: int) -> bool:
    child = os.fork()
    if child == 0:
        sys.addaudithook(Killer(number))
        make_change(folder, change, others)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return os.WIFSIGNALED(status)


class Killer:
    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, event: str, arguments: tuple) -> None:
        if event not in EVENTS or str(arguments[0]).endswith(_QUIET):
            return
        if event == "open" and not (arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def make_change(folder: Path, change: str, others: list[str]) -> None:
    if change == "add":
        add_folder(folder, Path(others[0]), BuildOrder())
    elif change == "compact":
        compact_folder(folder, BuildOrder())
    else:
        delete_rows(folder, others)


def found_in(folder: Path) -> dict[str, object]:
    """Each path with its row's direction, by way of the index and its metadata."""
    opened = open_index(folder, "image")
    query = np.ones((1, opened.index.embedding_dim), np.float32)
    ids, _ = opened.index.search(query, opened.index.size)
    ids = np.sort(ids[ids >= 0])
    paths = [record["image_path"] for record in opened.metadata.rows(ids.tolist())]
    directions = opened.index.reconstruct(ids).argmax(axis=1)
    return {
        "found": dict(zip(paths, directions.tolist(), strict=True)),
        "rows": opened.index.size,
        "others": sorted(path.name for path in folder.glob("*.txt")),
    }


if __name__ == "__main__":
    main()
