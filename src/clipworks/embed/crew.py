"""Threads that share out a work, while the thread that began it hears of each step."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

Step = TypeVar("Step")


def run_crew(
    count: int,
    work: Callable[[int, Callable[[Step], None]], None],
    hear: Callable[[Step], None],
    give_up: Callable[[], None],
) -> None:
    """Run threads until all have come back, or one of them fails, or the user has had enough.

    Args:
        count: of threads.
        work: is called in each of them, with its number and with what it tells its steps to.
        hear: is called in this thread with each step; what it raises ends the work.
        give_up: is called before an error is raised, and lets the threads come to their end.
    """
    events: SimpleQueue[Step | Future[None]] = SimpleQueue()
    with ThreadPoolExecutor(count, thread_name_prefix="crew") as pool:
        try:
            left = [pool.submit(work, number, events.put) for number in range(count)]
            for future in left:
                future.add_done_callback(events.put)
            while left:
                event = events.get()
                if isinstance(event, Future):
                    event.result()  # raises what the thread raised
                    left.remove(event)
                else:
                    hear(event)
        except BaseException:
            give_up()
            raise
