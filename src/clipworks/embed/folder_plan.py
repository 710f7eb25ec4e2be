"""What whoever makes partitions must know; small, and the same on every machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from clipworks.data.embedding_folder import PartitionFiles, partition_files
from clipworks.embed.embed_settings import EmbedSettings
from clipworks.embed.job import EmbedJob
from clipworks.embed.worker import RowFormat


@dataclass(frozen=True)
class FolderPlan:
    """How a folder's partitions are to be written.

    Attributes:
        folder: on storage that all who write share.
        num_partitions: of the whole folder.
        columns: of the metadata; None where each partition has its own.
        rows: what is kept of an embedding.
        settings: of this run.
    """

    folder: Path
    num_partitions: int
    columns: Mapping[str, str] | None
    rows: RowFormat
    settings: EmbedSettings

    @classmethod
    def of(cls, job: EmbedJob) -> Self:
        """The plan of a job."""
        settings = job.settings
        return cls(
            folder=job.folder.absolute(),
            num_partitions=job.manifest.num_partitions,
            columns=job.manifest.columns,
            rows=RowFormat(
                with_images=job.source.has_images,
                with_texts=job.source.has_captions,
                store=settings.store,
            ),
            settings=settings,
        )

    def files(self, number: int) -> PartitionFiles:
        """Where a partition's files go."""
        return partition_files(self.folder, number, self.num_partitions)
