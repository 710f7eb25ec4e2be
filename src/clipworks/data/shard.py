"""One of several runs that share a folder's partitions among them, each in a process of its own.

Run K of N makes the partitions whose number leaves K when divided by N, so that nobody has to tell
the runs who does what.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from clipworks.errors import SettingsError

_SHARD = re.compile(r"(\d+)/(\d+)")


@dataclass(frozen=True)
class Shard:
    """A run's share.

    Attributes:
        index: counted from 0.
        count: of all runs.
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `K/N`.

        Raises:
            SettingsError: it is not that, or K is not below N.
        """
        found = _SHARD.fullmatch(text.strip())
        if not found or int(found[1]) >= int(found[2]):
            raise SettingsError(
                f"shard {text!r}: expected K/N with K from 0 to N - 1, for example 0/4 to 3/4"
            )
        return cls(int(found[1]), int(found[2]))

    def owns(self, number: int) -> bool:
        """Whether a partition is this run's."""
        return number % self.count == self.index

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"
