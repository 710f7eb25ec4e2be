"""Partitions: the pieces of a long list of samples that are embedded, and redone, as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar, final

from clipworks.data.downloads import FetchLimits
from clipworks.data.readahead import read_ahead
from clipworks.data.samples import Sample
from clipworks.data.sources.source import AbstractPartition

T = TypeVar("T")


@final
class ListedPartition(AbstractPartition):
    """Samples that are listed, or that an object reads whenever it is gone through.

    Args:
        number: counted from 0.
        samples: in the order of their rows; can be gone through again and again, and be pickled.
        limits: for what is fetched.
    """

    def __init__(
        self, number: int, samples: Iterable[Sample], limits: FetchLimits | None = None
    ) -> None:
        self._number = number
        self._samples = samples
        self._limits = limits

    @property
    def number(self) -> int:
        """Counted from 0."""
        return self._number

    def samples(self) -> Iterator[Sample]:
        """Go through the samples; what lies elsewhere is fetched ahead."""
        return read_ahead(self._samples, self._limits)


def split_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Cut items into lists of `size`, the last one perhaps smaller."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def count_partitions(num_samples: int, size: int) -> int:
    """How many partitions of `size` samples there are, the last one perhaps smaller."""
    return -(-num_samples // size)


def get_partition(
    samples: Sequence[Sample], size: int, number: int, limits: FetchLimits | None = None
) -> ListedPartition:
    """Cut out partition `number`."""
    return ListedPartition(number, samples[number * size : (number + 1) * size], limits)
