"""Reads the remote parts of samples ahead of whoever takes them, in order and within bounds."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import final

from clipworks.data.addresses import WEB, protocol_of, read_address
from clipworks.data.contents import Content, Location, Unreadable
from clipworks.data.downloads import FetchLimits, fetch
from clipworks.data.samples import Sample
from clipworks.errors import ClipworksError

READERS = 16
"""Addresses that are read at the same time."""

AHEAD = 48
"""Samples that are read, or wait to be, before the one that is taken next."""


def read_ahead(samples: Iterable[Sample], limits: FetchLimits | None = None) -> Iterator[Sample]:
    """Go through samples; of those with addresses, the content comes in place of the address.

    What cannot be read is `Unreadable`. Samples without addresses pass at once.
    """
    stop = threading.Event()
    read = partial(_read_sample, limits=limits or FetchLimits(), stop=stop)
    waiting: deque[Sample | Future[Sample]] = deque()
    readers = _Readers(read)
    try:
        for sample in samples:
            remote = any(map(_is_remote, (sample.image, sample.caption, sample.fields)))
            if not remote and not waiting:
                yield sample
                continue
            waiting.append(readers.submit(sample) if remote else sample)
            if len(waiting) > AHEAD:
                yield _settle(waiting.popleft())
        while waiting:
            yield _settle(waiting.popleft())
    finally:
        stop.set()
        readers.close()


@final
class _Readers:
    """Threads that end with the process: a server that does not answer holds nobody up at exit.

    Args:
        read: is called in one of the threads for each sample.
    """

    def __init__(self, read: Callable[[Sample], Sample]) -> None:
        self._read = read
        self._tasks: SimpleQueue[tuple[Future[Sample], Sample] | None] = SimpleQueue()
        self._count = 0

    def submit(self, sample: Sample) -> Future[Sample]:
        """Have a sample read; threads begin when they are needed."""
        future: Future[Sample] = Future()
        self._tasks.put((future, sample))
        if self._count < READERS:
            self._count += 1
            threading.Thread(target=self._run, name="fetch", daemon=True).start()
        return future

    def close(self) -> None:
        """Read no more samples than those that are being read."""
        with suppress(Empty):
            while True:
                self._tasks.get_nowait()
        for _ in range(self._count):
            self._tasks.put(None)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, sample = task
            try:
                future.set_result(self._read(sample))
            except BaseException as error:  # noqa: BLE001 - raised where the sample is taken
                future.set_exception(error)


def _settle(awaited: Sample | Future[Sample]) -> Sample:
    return awaited.result() if isinstance(awaited, Future) else awaited


def _is_remote(part: object) -> bool:
    return isinstance(part, Location) and part.path is None


def _read_sample(sample: Sample, *, limits: FetchLimits, stop: threading.Event) -> Sample:
    image = _read_part(sample.image, limits, stop) if _is_remote(sample.image) else sample.image
    parts = {
        name: _read_part(part, limits, stop)
        for name in ("caption", "fields")
        if _is_remote(part := getattr(sample, name))
    }
    return replace(sample, image=image, **parts)


def _read_part(part: object, limits: FetchLimits, stop: threading.Event) -> Content:
    assert isinstance(part, Location)
    try:
        if protocol_of(part.url) in WEB:
            return fetch(part.url, limits, stop=stop)
        return read_address(part.url, limits)
    except ClipworksError as error:
        return Unreadable(str(error))
