"""Tars in webdataset's layout: files that bear one key and follow each other are one sample.

A partition is cut by bytes, not by samples: to count samples, every tar would have to be read
before the first is embedded. See docs/decisions/0004-partitions-of-tars.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

from clipworks.data.addresses import is_address
from clipworks.data.contents import Unreadable
from clipworks.data.partitions import ListedPartition
from clipworks.data.remote_files import StoredFile
from clipworks.data.samples import Sample, storable
from clipworks.data.sources.opened_source import OpenedSource, SourceFacts
from clipworks.data.sources.source import AbstractSource
from clipworks.data.sources.source_options import SourceOptions
from clipworks.data.tar_reader import BLOCK_BYTES
from clipworks.data.tar_samples import TarKeys, TarSlice, read_slice
from clipworks.errors import FolderError, InputError

_LOOKED_AT = 256
_COMPRESSED = (".gz", ".tgz", ".bz2", ".xz")


@final
@dataclass(frozen=True)
class _TarSamples:
    """Some tars, or a stretch of one; where one is cut or damaged, its last sample says so."""

    slices: Sequence[TarSlice]
    keys: TarKeys

    def __iter__(self) -> Iterator[Sample]:
        for part in self.slices:
            try:
                yield from read_slice(part, self.keys)
            except InputError as error:
                bad = Unreadable(str(error))
                yield Sample(part.url, image=bad, caption=bad)


@dataclass(frozen=True)
class _Look:
    """What the first samples are like."""

    has_images: bool
    has_captions: bool
    bytes_per_sample: float


def open_tars(
    description: str,
    tars: Sequence[StoredFile],
    options: SourceOptions,
    *,
    columns: dict[str, str] | None = None,
    num_samples: int | None = None,
) -> AbstractSource:
    """Make a source of tars, which are never read as one.

    Args:
        description: what the user called them.
        tars: in order.
        options: how to read them.
        columns: of the JSON files, where something else than the tars tells.
        num_samples: in all, likewise.

    Raises:
        FolderError: none of the tars holds a sample.
        SettingsError: pictures or captions are wanted, and there are none.
    """
    keys = TarKeys.parse(options.image_column, options.caption_column)
    look = _look_into(description, tars, keys)
    modality = options.settle(description, images=look.has_images, captions=look.has_captions)
    target = max(1, int(options.partition_size * look.bytes_per_sample))
    plan = plan_partitions(tars, target)
    chosen = {"image_column": options.image_column, "caption_column": options.caption_column}
    facts = SourceFacts(
        description=storable(description),
        digest=_digest(tars, plan),
        num_samples=num_samples,
        num_partitions=len(plan),
        modality=modality,
        options={**options.said, **{name: value for name, value in chosen.items() if value}},
    )
    return OpenedSource(
        facts,
        partition=lambda number: ListedPartition(number, _TarSamples(plan[number], keys)),
        columns=lambda: columns,
    )


def plan_partitions(tars: Sequence[StoredFile], target_bytes: int) -> list[tuple[TarSlice, ...]]:
    """Group small tars, and cut large ones, so that partitions hold about `target_bytes`.

    Cut are plain local tars alone: in others one cannot jump. A compressed tar, or one whose size
    is not known, is a partition of its own.
    """
    plan: list[tuple[TarSlice, ...]] = []
    group: list[TarSlice] = []
    filled = 0
    for tar in tars:
        plain = tar.size_bytes is not None and not tar.url.lower().endswith(_COMPRESSED)
        size = tar.size_bytes if plain and tar.size_bytes else target_bytes
        if group and filled + size > target_bytes:
            plan.append(tuple(group))
            group, filled = [], 0
        if size >= 2 * target_bytes and not is_address(tar.url):
            plan += [(part,) for part in _cut(tar.url, size, size // target_bytes)]
        else:
            group.append(TarSlice(tar.url))
            filled += size
    return [*plan, tuple(group)] if group else plan


def _cut(url: str, size: int, pieces: int) -> Iterator[TarSlice]:
    borders = [size * number // pieces for number in range(pieces)]
    for start, stop in zip(borders, [*borders[1:], None], strict=True):
        yield TarSlice(url, start, stop)


def _look_into(description: str, tars: Sequence[StoredFile], keys: TarKeys) -> _Look:
    """Look at the first samples of the first tar that has any."""
    trouble: list[str] = []
    endings: dict[str, None] = {}
    for tar in tars:
        images = captions = count = size = 0
        try:
            for sample in read_slice(TarSlice(tar.url), keys, endings=endings):
                images += sample.image is not None
                captions += sample.caption is not None
                size += _stored_bytes(sample)
                count += 1
                if count == _LOOKED_AT:
                    break
        except InputError as error:
            trouble.append(f"{tar.url}: {error}")
        if images or captions:
            return _Look(images > 0, captions > 0, size / count)
    if trouble:
        raise FolderError(f"{description} holds no samples: {trouble[0]}")
    found = ", ".join(endings) or "no files"
    raise FolderError(
        f"{description} holds no pictures and no captions ({found}): name the files' extensions "
        "with --image-key and --caption-key"
    )


def _stored_bytes(sample: Sample) -> int:
    """What a sample takes in a tar: each file has a header, and fills whole blocks."""
    parts = (sample.image, sample.caption, sample.fields)
    sizes = [len(part) for part in parts if isinstance(part, bytes)]
    return sum(-(-size // BLOCK_BYTES) * BLOCK_BYTES + BLOCK_BYTES for size in sizes)


def _digest(tars: Sequence[StoredFile], plan: Sequence[tuple[TarSlice, ...]]) -> str:
    """Hash names, sizes and partitions."""
    hasher = hashlib.sha256()
    for tar in tars:
        name = storable(tar.url.rsplit("/", 1)[-1])
        hasher.update(f"{name}\0{tar.size_bytes}\0".encode())
    for part in plan:
        hasher.update(repr([(piece.start, piece.stop) for piece in part]).encode())
    return hasher.hexdigest()
