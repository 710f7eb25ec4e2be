"""What the finished partitions of a folder add up to.

Each partition's done record has its counts. Reading all of them takes a while where there are
millions, so large folders keep the sum of those that earlier runs have added up, in `totals.json`;
the records alone decide what is done, and where one of them is gone, the sum is made anew.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from clipworks.data.embedding_folder import (
    TOTALS_FILE,
    Manifest,
    missing_partitions,
    partition_files,
)
from clipworks.data.partitions import split_batches
from clipworks.errors import FolderError
from clipworks.files import write_json_atomic

LEAST_PARTITIONS = 1000
"""Folders with fewer are added up from the records every time."""


_READS_AT_ONCE = 16


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


@dataclass(frozen=True)
class FolderSum:
    """The partitions that are done, and what they add up to.

    Attributes:
        done: whether a partition is, by its number.
        totals: of those.
    """

    done: Bool[np.ndarray, "partition"]
    totals: Totals


def read_totals(folder: Path, manifest: Manifest, *, known: FolderSum | None = None) -> FolderSum:
    """Add up the records of the partitions that are done.

    Args:
        folder: an embedding folder.
        manifest: of it.
        known: a sum that the caller has, whose records are not read again; by default that of
            `totals.json`.

    Raises:
        FolderError: a record is damaged.
    """
    done = np.ones(manifest.num_partitions, np.bool_)
    done[missing_partitions(folder, manifest)] = False
    known = known or _read_sum(folder, manifest)
    if known is None or (known.done & ~done).any():
        known = FolderSum(np.zeros_like(done), Totals())
    paths = (
        partition_files(folder, number, manifest.num_partitions).stats
        for number in np.flatnonzero(done & ~known.done).tolist()
    )
    totals = known.totals
    with ThreadPoolExecutor(_READS_AT_ONCE) as threads:  # they may be far away
        for some in split_batches(paths, _READS_AT_ONCE * 64):
            totals = sum(threads.map(_read_record, some), totals)
    return FolderSum(done, totals)


def keep_totals(folder: Path, found: FolderSum) -> None:
    """Write down what `read_totals` found, where that saves the next run some time.

    Raises:
        OSError: the disk is full, or does not let us write.
    """
    if len(found.done) < LEAST_PARTITIONS:
        return
    content = {"spans": _spans(found.done), **asdict(found.totals)}
    if _load(folder) != content:
        write_json_atomic(folder / TOTALS_FILE, content)


def _read_record(path: Path) -> Totals:
    try:
        stats = json.loads(path.read_text(encoding="utf-8"))
        return Totals(stats["sample_count"], stats["skipped_count"], stats["incomplete_count"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FolderError(
            f"{path} is damaged ({error!r}): delete it, and the next run makes it anew"
        ) from error


def _read_sum(folder: Path, manifest: Manifest) -> FolderSum | None:
    """What earlier runs have added up; None where it is no use."""
    content = _load(folder)
    done = np.zeros(manifest.num_partitions, np.bool_)
    try:
        for first, last in content["spans"]:
            done[first : last + 1] = True
        totals = Totals(content["embedded"], content["skipped"], content["incomplete"])
    except (KeyError, TypeError, ValueError):
        return None
    return FolderSum(done, totals)


def _load(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / TOTALS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _spans(done: Bool[np.ndarray, "partition"]) -> list[list[int]]:
    """First and last of each run of numbers that are done."""
    steps = np.diff(done.astype(np.int8), prepend=0, append=0)
    firsts, lasts = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1) - 1
    return np.stack([firsts, lasts], axis=1).tolist()
