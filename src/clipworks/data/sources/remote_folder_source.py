"""A folder of pictures on another machine: any storage that fsspec can list."""

from __future__ import annotations

import os

from clipworks.data.columns import find_columns
from clipworks.data.partitions import count_partitions, get_partition
from clipworks.data.readahead import read_ahead
from clipworks.data.remote_files import StoredFile
from clipworks.data.samples import Sample
from clipworks.data.sources.folder_source import (
    digest_of_names,
    pair_pictures,
    pair_texts,
    readable_fields,
)
from clipworks.data.sources.opened_source import OpenedSource, SourceFacts
from clipworks.data.sources.source import AbstractSource
from clipworks.data.sources.source_options import SourceOptions
from clipworks.errors import FolderError


def open_remote_folder(
    address: str, files: list[StoredFile], options: SourceOptions
) -> AbstractSource:
    """Make a source of the pictures, or the texts, below an address.

    Args:
        address: of the folder.
        files: all that lie below it.
        options: how to read them.

    Raises:
        FolderError: nothing that is wanted is there.
        SettingsError: captions are wanted, and there are none.
    """
    samples = _samples([file.url for file in files], options)
    if not samples:
        raise FolderError(f"{address} holds no pictures, nor does a folder below it")
    modality = options.settle(
        address,
        images=samples[0].image is not None,
        captions=any(sample.caption for sample in samples),
    )
    size = options.partition_size
    facts = SourceFacts(
        description=address,
        digest=digest_of_names(samples),
        num_samples=len(samples),
        num_partitions=count_partitions(len(samples), size),
        modality=modality,
        options=options.said,
    )
    return OpenedSource(
        facts,
        partition=lambda number: get_partition(samples, size, number, options.limits),
        columns=lambda: _columns(samples, options),
    )


def _samples(urls: list[str], options: SourceOptions) -> list[Sample]:
    found = [] if options.modality == "text" else list(pair_pictures(urls))
    if not found and not options.wants_images:
        found = list(pair_texts(urls))
    return sorted(found, key=lambda sample: os.fsencode(sample.name))


def _columns(samples: list[Sample], options: SourceOptions) -> dict[str, str]:
    """Read all JSON files, several at a time."""
    fields = (Sample(sample.name, fields=sample.fields) for sample in samples if sample.fields)
    return find_columns(map(readable_fields, read_ahead(fields, options.limits)))
