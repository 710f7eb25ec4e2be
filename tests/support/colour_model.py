"""The colour model in place of whatever a command would load."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from clipworks.cli import model_option
from clipworks.errors import UnknownModelError
from tests.support.colours import colour_embedder


def install_colour_model(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make each model that is asked for the colour model; the names come to stand in the list."""
    names: list[str] = []

    def pull_model(name):
        if name == "unknown":
            raise UnknownModelError("unknown: no such model")
        return SimpleNamespace(name=name, card=colour_embedder().card)

    def load_model(model, how):
        name = model if isinstance(model, str) else model.name
        names.append(name)
        return colour_embedder(fingerprint="other") if name == "other" else colour_embedder()

    monkeypatch.setattr(model_option, "pull_model", pull_model)
    monkeypatch.setattr(model_option, "load_model", load_model)
    return names
