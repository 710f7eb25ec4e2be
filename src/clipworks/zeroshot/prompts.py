"""Prompt templates: sentences with `{}` where the label goes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files

from clipworks.errors import SettingsError

TEMPLATE_SETS = ("imagenet7", "imagenet80", "simple")
DEFAULT_TEMPLATES = "simple"
_SLOT = "{}"


def load_templates(name: str = DEFAULT_TEMPLATES) -> tuple[str, ...]:
    """Read one of the packaged sets: `simple`, `imagenet7` or `imagenet80`.

    Raises:
        SettingsError: no set of that name.
    """
    if name not in TEMPLATE_SETS:
        raise SettingsError(
            f"unknown template set {name!r}: expected one of {', '.join(TEMPLATE_SETS)}"
        )
    path = files("clipworks.zeroshot").joinpath("templates", f"{name}.json")
    return tuple(json.loads(path.read_text(encoding="utf-8"))["templates"])


def check_templates(templates: Sequence[str]) -> tuple[str, ...]:
    """Return the templates as a tuple.

    Raises:
        SettingsError: there are none, or one has no place for the label.
    """
    if isinstance(templates, str):
        raise SettingsError(f"templates: expected a list, got the text {templates!r}: write [x]")
    if not templates:
        raise SettingsError('templates: expected at least one, such as "a photo of a {}."')
    for template in templates:
        if _SLOT not in template:
            raise SettingsError(
                f"template {template!r} has no {_SLOT} where the label goes: "
                f'write for example "a photo of a {_SLOT}."'
            )
    return tuple(templates)


def fill_templates(templates: Sequence[str], label: str) -> list[str]:
    """Put a label into each template, as it is: braces in a label stay what they are."""
    return [label.join(template.split(_SLOT)) for template in templates]
