"""Hints as words, `name=value`, as a command takes them.

activation=quick_gelu  vision_heads=12  causal=true  rotary_theta=10000
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, get_args, get_type_hints

from clipworks.errors import SettingsError
from clipworks.models.facts import CheckpointHints

_FLAGS = {"true": True, "false": False}


def read_hints(words: Sequence[str]) -> CheckpointHints:
    """Read hints, each with the type that it has.

    Raises:
        SettingsError: a word is no hint, comes twice, or has a value that it cannot have.
    """
    known = get_type_hints(CheckpointHints)
    values: dict[str, Any] = {}
    for word in words:
        name, sign, text = word.partition("=")
        name = name.strip().replace("-", "_")
        if not sign or name not in known:
            names = ", ".join(field.name for field in fields(CheckpointHints))
            raise SettingsError(f"hint {word!r}: expected NAME=VALUE with a name of {names}")
        if name in values:
            raise SettingsError(f"hint {name} is given twice: {values[name]} and {text}")
        values[name] = _read_value(name, text.strip(), known[name])
    return CheckpointHints(**values)


def _read_value(name: str, text: str, annotation: object) -> Any:  # noqa: ANN401 - of the hint's type
    types = get_args(annotation)
    if bool in types:
        if text.lower() in _FLAGS:
            return _FLAGS[text.lower()]
        raise SettingsError(f"hint {name}={text}: expected true or false")
    for number, what in ((int, "a whole number"), (float, "a number")):
        if number in types:
            try:
                return number(text)
            except ValueError as error:
                raise SettingsError(f"hint {name}={text}: expected {what}") from error
    return text  # CheckpointHints knows the words
