"""Processes that read and decode, with the pixels in memory that they share with us.

Every thread that carries a batch has a place for its pixels in one block of shared memory. It
takes whichever decoder is free, hands it the batch's samples, and finds the pixels in its place.
There are never more batches about than threads, which is what holds the decoders back.

A decoder that dies or hangs costs at most the sample that it was at: another one begins the batch
anew, and when that sample is the end of it once more, the sample is skipped. The block has no name
in the file system (see `multiprocessing.heap`), so that nothing of it can be left behind.

Axes: slot (places of a batch), 3, h and w (pixels).
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Self, final

import numpy as np

from clipworks.data.samples import Sample
from clipworks.embed.batch_reader import AbstractBatchReader, ReadBatch, SampleDecoder, Slots
from clipworks.embed.side_process import CONTEXT, Answer, ProcessDiedError, SideProcess
from clipworks.errors import ClipworksError, FolderError

LONGEST_SAMPLE_S = 120.0
"""A decoder that is at one sample for longer is taken to hang."""

LONGEST_START_S = 300.0
"""A decoder has so long until its first sample: busy machines start programs slowly."""

_TRIES = (
    2  # of a sample that a decoder died of: the first time it may have been somebody else's doing
)
_STARTS = 3  # of a decoder that dies before its first sample


@dataclass(frozen=True)
class SharedPlaces:
    """The shared block, as it travels to a decoder.

    Attributes:
        pixels: of all places, one after the other.
        progress: which sample of its batch each place is at; -1 before the first.
        shape: of one place [slot 3 h w].
    """

    pixels: Any
    progress: Any
    shape: tuple[int, int, int, int]

    @classmethod
    def make(cls, count: int, shape: tuple[int, int, int, int]) -> Self:
        """Make room for `count` batches.

        Raises:
            FolderError: the system does not let us have so much.
        """
        try:
            pixels = CONTEXT.RawArray(ctypes.c_float, count * int(np.prod(shape)))
        except OSError as error:
            size = count * int(np.prod(shape)) * 4 / 1e6
            raise FolderError(
                f"no {size:,.0f} MB of shared memory for the decoders ({error.strerror}): give "
                "fewer --decoders or a smaller --batch-size"
            ) from error
        return cls(pixels, CONTEXT.RawArray(ctypes.c_int64, count), shape)

    def place(self, number: int) -> Slots:
        """The array of one place."""
        size = int(np.prod(self.shape))
        flat = np.frombuffer(self.pixels, np.float32, size, number * size * 4)
        return flat.reshape(self.shape)  # (slot, 3, h, w)


@dataclass(frozen=True)
class _Question:
    place: int
    samples: Sequence[Sample]
    lost: dict[int, str]


@final
class DecoderPool:
    """Decoders, and a reader for each thread that wants one.

    Args:
        decoder: what each of them does.
        num_decoders: processes.
        num_readers: threads.
        batch_size: the longest batch.
    """

    def __init__(
        self, decoder: SampleDecoder, *, num_decoders: int, num_readers: int, batch_size: int
    ) -> None:
        self.places = SharedPlaces.make(num_readers, (batch_size, *decoder.shape))
        self._arguments = (decoder, self.places)
        self._num_decoders = num_decoders
        self._free: SimpleQueue[SideProcess | None] = SimpleQueue()
        for _ in range(num_decoders):
            self._free.put(self._start())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        decoders = [self._free.get() for _ in range(self._num_decoders)]
        for decoder in decoders:
            if decoder:
                decoder.close()

    def reader(self, number: int) -> PooledReader:
        """The reader of one thread."""
        return PooledReader(self, number)

    def ask(self, place: int, samples: Sequence[Sample], lost: dict[int, str]) -> ReadBatch:
        """Have a batch read by whichever decoder is free.

        Raises:
            ProcessDiedError: the decoder died of it; whoever asks next starts a new one.
        """
        decoder = self._free.get()
        try:
            decoder = decoder or self._start()
            self.places.progress[place] = -1
            return decoder.ask(
                _Question(place, samples, lost), is_stuck=_Watch(self.places, place).is_stuck
            )
        except ProcessDiedError:
            decoder = None  # whoever wants the next one starts it
            raise
        finally:
            self._free.put(decoder)

    def _start(self) -> SideProcess:
        return SideProcess(_open_decoder, self._arguments, name="clipworks-decoder")


@final
class PooledReader(AbstractBatchReader):
    """Reads through a pool."""

    def __init__(self, pool: DecoderPool, number: int) -> None:
        self._pool = pool
        self._number = number
        self._pixels = pool.places.place(number)

    @property
    def pixels(self) -> Slots:
        """Where the pixels of the last batch stand."""
        return self._pixels

    def read(self, samples: Sequence[Sample]) -> ReadBatch:
        """Read a batch, as often as it takes.

        Raises:
            ClipworksError: decoders cannot be started.
        """
        deaths: dict[int, int] = {}
        lost: dict[int, str] = {}
        while True:
            try:
                return self._pool.ask(self._number, samples, lost)
            except ProcessDiedError as death:
                at = self._pool.places.progress[self._number]
                deaths[at] = deaths.get(at, 0) + 1
                if at < 0 and deaths[at] == _STARTS:
                    raise ClipworksError(
                        f"a decoding process {death} before its first picture, {_STARTS} times: "
                        "--decoders 0 does without them"
                    ) from death
                if at >= 0 and deaths[at] == _TRIES:
                    lost[at] = f"the process that decoded it {death}"


@final
class _Watch:
    """Notices that a place stays at one sample."""

    def __init__(self, places: SharedPlaces, place: int) -> None:
        self._places = places
        self._place = place
        self._seen, self._since = -2, 0.0

    def is_stuck(self) -> bool:
        at, now = self._places.progress[self._place], time.monotonic()
        if at != self._seen:
            self._seen, self._since = at, now
        return now - self._since > (LONGEST_SAMPLE_S if at >= 0 else LONGEST_START_S)


def _open_decoder(decoder: SampleDecoder, places: SharedPlaces) -> Answer:
    def read(question: _Question) -> ReadBatch:
        def tell(at: int) -> None:
            places.progress[question.place] = at

        return decoder.read(
            question.samples, places.place(question.place), lost=question.lost, tell=tell
        )

    return read
