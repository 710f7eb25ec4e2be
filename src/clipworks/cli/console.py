"""What the commands print: results on stdout, progress on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID


def print_json(result: Any) -> None:  # noqa: ANN401 - whatever JSON takes
    """Print one JSON document on stdout."""
    sys.stdout.write(json.dumps(result, indent=2, ensure_ascii=False) + "\n")


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 picture", "2,000 pictures"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def result_console() -> Console:
    """Tables and sentences for people, on stdout."""
    from rich.console import Console

    return Console(highlight=False)


@contextmanager
def stage_watcher() -> Iterator[Callable[[str, int, int], None]]:
    """Give what is told of each stage's progress: its name, how much is done, of how much."""
    with progress_bar() as progress:
        tasks: dict[str, TaskID] = {}

        def watch(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total, rate="")
            progress.update(tasks[stage], completed=done, total=total)

        yield watch


def progress_bar() -> Progress:
    """A bar with rate and time left on stderr; silent where stderr is not a terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
