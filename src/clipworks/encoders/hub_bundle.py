"""Bundles that stand on the hub as they are: a repository with a `bundle.json`."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from clipworks.encoders import hub
from clipworks.encoders.bundle import CARD_FILE, read_bundle, read_card
from clipworks.encoders.bundle_store import find_stored, new_bundle, place_file
from clipworks.errors import BundleError

_PREFIX = "hf://"
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def parse_repository(name: str) -> str | None:
    """The repository that a model's name means: `hf://org/repo` or `org/repo`; else None."""
    repository = name.removeprefix(_PREFIX)
    return repository if _REPOSITORY.fullmatch(repository) else None


def fetch_hub_bundle(
    repository: str, *, replace_old: bool = False, watch: hub.DownloadWatcher | None = None
) -> Path:
    """Download a bundle, keep it under the repository's name, and give its folder.

    Raises:
        UnknownModelError: no such repository.
        DownloadError: the hub did not give it, or it holds no bundle.
        BundleError: the bundle is damaged.
    """
    card_file = hub.fetch_file(repository, CARD_FILE)
    card = read_card(card_file)
    with new_bundle(repository, replace=replace_old) as folder:
        for name in card.files or {}:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts:
                raise BundleError(f"{repository}: {CARD_FILE} names {name!r}, outside the bundle")
            place_file(hub.fetch_file(repository, name, watch=watch), folder / path)
        place_file(card_file, folder / CARD_FILE)
        read_bundle(folder)
    stored = find_stored(repository)
    assert stored is not None
    return stored
