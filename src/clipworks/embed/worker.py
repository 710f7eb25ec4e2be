"""One batch, from samples to rows.

Axes: sample (pictures of the batch that could be read), dim (what is kept of the joint space).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, final

from clipworks.data.columns import MetadataRow
from clipworks.data.samples import Sample
from clipworks.data.stored_rows import StoredArray, blank_rows, pack_rows
from clipworks.embed.batch_reader import AbstractBatchReader, Fault
from clipworks.encoders.embedder import Embedder


@dataclass(frozen=True)
class RowFormat:
    """What is kept of an embedding.

    Attributes:
        with_images: whether pictures are embedded.
        with_texts: whether captions are embedded.
        store: `fp16`, `int8` or `binary`.
    """

    with_images: bool = True
    with_texts: bool = False
    store: str = "fp16"


@dataclass(frozen=True)
class BatchRows:
    """What became of one batch; its arrays and its metadata are in step.

    Attributes:
        images: unit rows, as they are stored; None where no pictures are wanted.
        texts: the same, zeros for a sample without a caption; None where no captions are wanted.
        metadata: one a row.
        faults: in the order of the samples.
        started: when, in seconds of the epoch.
        read_s: seconds spent on getting at bytes.
        decode_s: seconds spent on decoding and resizing.
        inference_s: seconds spent on the model.
    """

    images: StoredArray | None
    texts: StoredArray | None
    metadata: list[MetadataRow]
    faults: list[Fault]
    started: float
    read_s: float
    decode_s: float
    inference_s: float

    @property
    def num_skipped(self) -> int:
        """Samples whose picture could not be read; where texts alone are wanted, whose text."""
        return sum(fault.part == self._needed for fault in self.faults)

    @property
    def num_incomplete(self) -> int:
        """Rows whose caption or fields could not be read."""
        skipped = {fault.image_path for fault in self.faults if fault.part == self._needed}
        return len({fault.image_path for fault in self.faults} - skipped)

    @property
    def _needed(self) -> str:
        return "caption" if self.images is None else "image"


@final
class BatchWorker:
    """Embeds one batch after the other; every thread has its own worker.

    The model always gets a batch as long as its samples: a picture that cannot be read leaves a
    blank there, and its row is dropped. What a picture's row is so depends on the batch's size
    and nothing else that differs from run to run.

    Args:
        embedder: the model.
        reader: has the pixels; this worker's alone.
        rows: what is kept.
        turnstile: is entered around the model.
    """

    def __init__(
        self,
        embedder: Embedder,
        reader: AbstractBatchReader,
        *,
        rows: RowFormat,
        turnstile: AbstractContextManager[Any],
    ) -> None:
        self._embedder = embedder
        self._reader = reader
        self._rows = rows
        self._turnstile = turnstile

    def embed(self, samples: Sequence[Sample], *, source_s: float = 0.0) -> BatchRows:
        """Embed some samples; none is so broken that this raises.

        Args:
            samples: the batch.
            source_s: seconds that it took to get at them, which count as reading.
        """
        started = time.time()
        read = self._reader.read(samples)
        with self._turnstile:
            begin = time.perf_counter()
            images = (
                self._encode_images(len(samples), read.kept) if self._rows.with_images else None
            )
            texts = self._encode_texts(read.metadata) if self._rows.with_texts else None
            inference_s = time.perf_counter() - begin
        return BatchRows(
            images=images,
            texts=texts,
            metadata=read.metadata,
            faults=read.faults,
            started=started,
            read_s=read.read_s + source_s,
            decode_s=read.decode_s,
            inference_s=inference_s,
        )

    def _encode_images(self, count: int, kept: list[int]) -> StoredArray:
        if not kept:
            return self._blank_rows(0)
        rows = self._embedder.encoder.encode_images(self._reader.pixels[:count])  # (count, dim)
        return pack_rows(rows[kept], self._rows.store)

    def _encode_texts(self, metadata: list[MetadataRow]) -> StoredArray:
        rows = self._blank_rows(len(metadata))
        captions = {i: row.caption for i, row in enumerate(metadata) if row.caption is not None}
        if captions:
            tokens = self._embedder.tokenizer(list(captions.values()))
            encoded = self._embedder.encoder.encode_texts(tokens)  # (caption, dim)
            rows[list(captions)] = pack_rows(encoded, self._rows.store)
        return rows

    def _blank_rows(self, count: int) -> StoredArray:
        return blank_rows(count, self._embedder.embedding_dim, self._rows.store)
