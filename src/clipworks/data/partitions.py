"""Partitions: the pieces of a long list of samples that are embedded, and redone, as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clipworks.data.samples import Sample


@dataclass(frozen=True)
class Partition:
    """Some samples that follow each other.

    Attributes:
        number: counted from 0.
        samples: in the order of their rows.
    """

    number: int
    samples: Sequence[Sample]

    def batches(self, size: int) -> Iterator[Sequence[Sample]]:
        """Cut the samples into batches; a batch never spans two partitions."""
        for start in range(0, len(self.samples), size):
            yield self.samples[start : start + size]


def count_partitions(num_samples: int, size: int) -> int:
    """How many partitions of `size` samples there are, the last one perhaps smaller."""
    return -(-num_samples // size)


def get_partition(samples: Sequence[Sample], size: int, number: int) -> Partition:
    """Cut out partition `number`."""
    return Partition(number, samples[number * size : (number + 1) * size])
