"""Implementations by name, imported when asked for.

A registry maps a name to `module:object`, so that nothing heavy loads before it is used.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from clipworks.errors import SettingsError


class Registry:
    """A frozen table of names to `module:object`.

    Args:
        kind: what the names name, in the singular: "encoder backend".
        entries: name to `module:object`.
    """

    def __init__(self, kind: str, entries: Mapping[str, str]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def load(self, name: str) -> Any:  # noqa: ANN401 - the object's type is the caller's knowledge
        """Import and return what stands behind `name`.

        Raises:
            SettingsError: no such name; the message lists the names that there are.
            MissingExtraError: from the module itself, where it needs an extra.
        """
        if name not in self._entries:
            raise SettingsError(f"unknown {self.kind} {name!r}: expected one of {', '.join(self)}")
        module, _, attribute = self._entries[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
