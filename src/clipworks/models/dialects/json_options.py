"""Options read from a side file, each with its type checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clipworks.errors import CheckpointError


@dataclass(frozen=True)
class Options:
    """A JSON object of a configuration; None counts as left out.

    Attributes:
        name: where it stands, for messages: "model_cfg.text_cfg".
        values: its content.
    """

    name: str
    values: Mapping[str, Any]

    def integer(self, name: str, default: int) -> int:
        """A whole number, not negative."""
        value = self._get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self._wrong(name, "a whole number")
        return value

    def integers(self, name: str) -> tuple[int, ...]:
        """A list of whole numbers, none negative."""
        value = self._get(name, [])
        numbers = isinstance(value, list | tuple)
        if not numbers or any(type(entry) is not int or entry < 0 for entry in value):
            raise self._wrong(name, "a list of whole numbers")
        return tuple(value)

    def positive(self, name: str, default: float) -> float:
        """A number above 0."""
        value = self._get(name, default)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 < value < math.inf:
            raise self._wrong(name, "a number above 0")
        return float(value)

    def flag(self, name: str) -> bool:
        """True or false; false where left out."""
        value = self._get(name, default=False)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def word(self, name: str, default: str) -> str:
        """A string."""
        value = self._get(name, default)
        if not isinstance(value, str):
            raise self._wrong(name, "a string")
        return value

    def choice(self, name: str, default: str, table: Mapping[str, str]) -> str:
        """What the table has for a string."""
        value = self.word(name, default)
        if value not in table:
            raise self._wrong(name, f"one of {', '.join(table)}: others are not supported yet")
        return table[value]

    def square(self, name: str, default: int) -> int:
        """The side of a square, written as one number or as two that are equal."""
        value = self._get(name, default)
        sides = value if isinstance(value, list | tuple) else [value]
        if len(sides) not in (1, 2) or any(side != sides[0] for side in sides):
            raise self._wrong(name, "a square")
        return Options(self.name, {name: sides[0]}).integer(name, default)

    def part(self, name: str) -> Options:
        """An object in the object; empty where left out."""
        value = self._get(name, {})
        if not isinstance(value, Mapping):
            raise self._wrong(name, "an object")
        return Options(f"{self.name}.{name}", value)

    def has(self, name: str) -> bool:
        """Whether the option is given."""
        return self.values.get(name) is not None

    def _get(self, name: str, default: Any) -> Any:  # noqa: ANN401 - whatever JSON has
        return self.values[name] if self.has(name) else default

    def _wrong(self, name: str, expected: str) -> CheckpointError:
        found = f"= {self.values[name]!r}" if self.has(name) else "is left out"
        return CheckpointError(f"{self.name}.{name} {found}: expected {expected}")
