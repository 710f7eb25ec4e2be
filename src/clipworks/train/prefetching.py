"""The next batch, made while the model works on this one."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import final

from clipworks.train.batches import AbstractBatches, Batch, TextTargets


@final
class PrefetchedBatches(AbstractBatches):
    """The batches of another source, each made in a thread of its own one step ahead.

    Args:
        source: where they come from.
        last: the step whose batch is the last to be made ahead.
    """

    def __init__(self, source: AbstractBatches, last: int) -> None:
        self._source = source
        self._last = last
        self._pool = ThreadPoolExecutor(1)
        self._ahead: dict[int, Future[Batch | TextTargets]] = {}

    def close(self) -> None:
        """End the thread; a batch that nobody asked for is lost."""
        self._pool.shutdown(cancel_futures=True)

    def batch(self, step: int) -> Batch | TextTargets:
        """The batch of a step; an error in making it is raised here, at its own step."""
        future = self._ahead.pop(step, None) or self._pool.submit(self._source.batch, step)
        self._ahead = {}
        if step < self._last:
            self._ahead[step + 1] = self._pool.submit(self._source.batch, step + 1)
        return future.result()
