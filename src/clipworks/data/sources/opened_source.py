"""A source as most kinds make it: facts that were found when it was opened, and two functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import final

from clipworks.data.sources.source import AbstractPartition, AbstractSource
from clipworks.data.sources.source_options import Modality


@dataclass(frozen=True)
class SourceFacts:
    """What `AbstractSource` tells; see there."""

    description: str
    digest: str
    num_samples: int | None
    num_partitions: int
    modality: Modality
    options: Mapping[str, str] = field(default_factory=dict)


@final
class OpenedSource(AbstractSource):
    """A source that has been looked through.

    Args:
        facts: about it.
        partition: makes one of its partitions.
        columns: finds its fields, when first asked: that may mean to read all of it.
    """

    def __init__(
        self,
        facts: SourceFacts,
        *,
        partition: Callable[[int], AbstractPartition],
        columns: Callable[[], Mapping[str, str] | None],
    ) -> None:
        self._facts = facts
        self._partition = partition
        self._find_columns = columns

    @property
    def description(self) -> str:
        """Where it lies."""
        return self._facts.description

    @property
    def digest(self) -> str:
        """A hash over what decides the samples."""
        return self._facts.digest

    @property
    def num_samples(self) -> int | None:
        """How many there are, if that is known."""
        return self._facts.num_samples

    @property
    def num_partitions(self) -> int:
        """How many pieces it is cut into."""
        return self._facts.num_partitions

    @property
    def has_images(self) -> bool:
        """Whether pictures are embedded."""
        return self._facts.modality != "text"

    @property
    def has_captions(self) -> bool:
        """Whether captions are embedded."""
        return self._facts.modality != "image"

    @property
    def options(self) -> Mapping[str, str]:
        """How it is read."""
        return {"modality": self._facts.modality, **self._facts.options}

    @cached_property
    def columns(self) -> Mapping[str, str] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The fields; finding them may take a while."""
        return self._find_columns()

    def partition(self, number: int) -> AbstractPartition:
        """One of the partitions."""
        assert 0 <= number < self.num_partitions
        return self._partition(number)
