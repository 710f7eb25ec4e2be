"""The one interface of sources: samples, cut into partitions that can be read apart."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

from clipworks.data.samples import Sample


class AbstractPartition(ABC):
    """Some samples that follow each other: the unit of work, of retry and of resume.

    A partition is small and can be pickled, so that another process or machine can read it. It
    gives the same samples in the same order every time.
    """

    @property
    @abstractmethod
    def number(self) -> int:
        """Counted from 0 in its source."""

    @abstractmethod
    def samples(self) -> Iterator[Sample]:
        """Go through the samples, in the order of their rows.

        What cannot be read is a sample whose part is `Unreadable`: nothing is raised.
        """


class AbstractSource(ABC):
    """Where samples come from, looked through once, when it is opened."""

    @property
    @abstractmethod
    def description(self) -> str:
        """Where it lies, for people and for telling one source from another."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """A hash over what decides the samples and their order: names, or names and sizes."""

    @property
    @abstractmethod
    def num_samples(self) -> int | None:
        """How many there are; None where only reading them would tell."""

    @property
    @abstractmethod
    def num_partitions(self) -> int:
        """How many pieces they are cut into."""

    @property
    @abstractmethod
    def has_images(self) -> bool:
        """Whether pictures are embedded: samples have some, and nobody wants texts alone."""

    @property
    @abstractmethod
    def has_captions(self) -> bool:
        """Whether captions are embedded: any sample has one, and nobody wants pictures alone."""

    @property
    @abstractmethod
    def options(self) -> Mapping[str, str]:
        """What else decides the samples, as options of `clipworks embed` by name."""

    @property
    @abstractmethod
    def columns(self) -> Mapping[str, str] | None:
        """The fields' names and types as `clipworks.data.columns` has them, in order.

        None where only reading the samples would tell: each partition then has its own.
        """

    @abstractmethod
    def partition(self, number: int) -> AbstractPartition:
        """One of the partitions."""
