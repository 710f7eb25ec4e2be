"""The pinned sources: what is taken from where, under which licence, in which role."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

TABLES = Path(__file__).parent / "tables"
SOURCES_FILE = Path(__file__).parent / "sources.json"
DEFAULT_WORK = Path("build/pictograms/work")
DEFAULT_DATA = Path("build/pictograms/data")


class RecipeError(RuntimeError):
    """The recipe cannot go on; the message says what to do."""


@dataclass(frozen=True)
class Source:
    """One pinned package.

    `role` is train, validation, test, outside (a test only) or words. `kind` says how to read it.
    `licence` is the SPDX identifier that the package must state, `art_licence` the one of the
    drawings where upstream states another than the package.
    """

    name: str
    registry: str
    package: str
    version: str
    sha256: str
    licence: str
    role: str
    kind: str
    author: str
    homepage: str
    copyright: str
    art_licence: str = ""
    note: str = ""

    @property
    def drawing_licence(self) -> str:
        """The licence of the drawings themselves."""
        return self.art_licence or self.licence


def load_sources(path: Path = SOURCES_FILE) -> list[Source]:
    """Read the table of sources, in its order."""
    return [Source(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def find_source(name: str) -> Source:
    """Return the source called `name`."""
    for source in load_sources():
        if source.name == name:
            return source
    raise RecipeError(f"no source is called {name!r}; the names stand in {SOURCES_FILE}")


def source_folder(work: Path, name: str) -> Path:
    """Return the unpacked folder of a source, or say how to get it."""
    folder = work / "raw" / name
    if not folder.is_dir():
        raise RecipeError(f"{folder} is missing: run `python -m recipes.pictograms.fetch` first")
    return folder


def load_table(name: str) -> dict[str, str]:
    """Read a JSON table of strings that stands beside the code."""
    return json.loads((TABLES / f"{name}.json").read_text(encoding="utf-8"))
