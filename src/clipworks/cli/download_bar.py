"""How far downloads are, on stderr: bars on a terminal, a line a file elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import TaskID

    from clipworks.encoders.hub import DownloadWatcher


@contextmanager
def download_bar() -> Iterator[DownloadWatcher]:
    """Give what downloads tell their progress to."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        def watch(filename: str, done: int, size: int) -> None:
            if filename not in tasks:
                tasks[filename] = progress.add_task(filename, total=size or None, completed=done)
                if not console.is_terminal:
                    console.print(f"downloading {filename} ({size_text(size)})", markup=False)
            progress.update(tasks[filename], completed=done)

        yield watch


def size_text(num_bytes: int) -> str:
    """Bytes as people say them: 605 MB, 1.7 GB."""
    if num_bytes < 1e6:
        return f"{num_bytes / 1e3:.0f} kB"
    return f"{num_bytes / 1e6:.0f} MB" if num_bytes < 1e9 else f"{num_bytes / 1e9:.1f} GB"
