"""Pictures that were named one by one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from clipworks.data.contents import Location
from clipworks.data.partitions import count_partitions, get_partition
from clipworks.data.samples import Sample, storable
from clipworks.data.sources.opened_source import OpenedSource, SourceFacts
from clipworks.data.sources.source import AbstractSource
from clipworks.data.sources.source_options import SourceOptions


def open_listed(description: str, urls: Sequence[str], options: SourceOptions) -> AbstractSource:
    """Make a source of pictures, in the order given.

    Args:
        description: what the user called them.
        urls: absolute paths or addresses.
        options: how to read them.

    Raises:
        SettingsError: captions are wanted: there are none.
    """
    samples = [Sample(url, Location(url)) for url in urls]
    size = options.partition_size
    facts = SourceFacts(
        description=storable(description),
        digest=hashlib.sha256(b"\0".join(map(os.fsencode, urls))).hexdigest(),
        num_samples=len(samples),
        num_partitions=count_partitions(len(samples), size),
        modality=options.settle(description, images=True, captions=False),
    )
    return OpenedSource(
        facts,
        partition=lambda number: get_partition(samples, size, number, options.limits),
        columns=dict,
    )
