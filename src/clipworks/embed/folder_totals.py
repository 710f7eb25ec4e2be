"""What the finished partitions of a folder add up to.

Each partition's done record has its counts. Reading all of them takes a while where there are
millions, so large folders keep the sum of those that earlier runs have added up, in `totals.json`;
the records alone decide what is done, and where one of them is gone, the sum is made anew.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from clipworks.data.embedding_folder import (
    TOTALS_FILE,
    Manifest,
    missing_partitions,
    partition_files,
)
from clipworks.errors import FolderError
from clipworks.files import write_json_atomic

LEAST_PARTITIONS = 1000
"""Folders with fewer are added up from the records every time."""


@dataclass(frozen=True)
class Totals:
    """What some partitions add up to.

    Attributes:
        embedded: rows.
        skipped: pictures that could not be read.
        incomplete: rows whose caption or fields could not be read.
    """

    embedded: int = 0
    skipped: int = 0
    incomplete: int = 0

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.embedded + other.embedded,
            self.skipped + other.skipped,
            self.incomplete + other.incomplete,
        )


def read_totals(folder: Path, manifest: Manifest, *, only: Collection[int] | None = None) -> Totals:
    """Add up the records of the partitions that are done.

    Args:
        folder: an embedding folder.
        manifest: of it.
        only: partitions that count; None for all.

    Raises:
        FolderError: a record is damaged.
    """
    missing = set(missing_partitions(folder, manifest))
    done = [number for number in range(manifest.num_partitions) if number not in missing]
    if only is not None:
        return _read(folder, manifest, (number for number in done if number in only))
    known, totals = _read_sum(folder, missing)
    return totals + _read(folder, manifest, (number for number in done if number not in known))


def keep_totals(folder: Path, manifest: Manifest, totals: Totals) -> None:
    """Write down what `read_totals` found, where that saves the next run some time.

    Raises:
        OSError: the disk is full, or does not let us write.
    """
    if manifest.num_partitions < LEAST_PARTITIONS:
        return
    missing = set(missing_partitions(folder, manifest))
    done = [number for number in range(manifest.num_partitions) if number not in missing]
    content = {"spans": _spans(done), **asdict(totals)}
    if _load(folder) != content:
        write_json_atomic(folder / TOTALS_FILE, content)


def _read(folder: Path, manifest: Manifest, numbers: Iterable[int]) -> Totals:
    totals = Totals()
    for number in numbers:
        path = partition_files(folder, number, manifest.num_partitions).stats
        try:
            stats = json.loads(path.read_text(encoding="utf-8"))
            counts = (stats["sample_count"], stats["skipped_count"], stats["incomplete_count"])
            totals += Totals(*counts)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FolderError(
                f"{path} is damaged ({error!r}): delete it, and the next run makes it anew"
            ) from error
    return totals


def _read_sum(folder: Path, missing: set[int]) -> tuple[set[int], Totals]:
    """The partitions that have been added up before, and their sum; none where it is no use."""
    content = _load(folder)
    try:
        known = {number for first, last in content["spans"] for number in range(first, last + 1)}
        totals = Totals(content["embedded"], content["skipped"], content["incomplete"])
    except (KeyError, TypeError, ValueError):
        return set(), Totals()
    return (known, totals) if known.isdisjoint(missing) else (set(), Totals())


def _load(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / TOTALS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _spans(numbers: list[int]) -> list[list[int]]:
    """First and last of each run of numbers that follow each other."""
    runs = groupby(enumerate(numbers), key=lambda item: item[1] - item[0])
    spans = [[number for _, number in run] for _, run in runs]
    return [[span[0], span[-1]] for span in spans]
