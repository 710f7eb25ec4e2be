"""One batch, from files to rows.

Axes: sample (pictures of the batch that could be read), dim (width of the joint space), 3, h and w
(pixels).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, final

import numpy as np
from jaxtyping import Float16, Float32

from clipworks.data.columns import MetadataRow
from clipworks.data.contents import Location, read_content
from clipworks.data.samples import Sample, read_caption, read_fields
from clipworks.encoders.embedder import Embedder
from clipworks.errors import InputError, InvalidImageError

Rows = Float16[np.ndarray, "sample dim"]


@dataclass(frozen=True)
class Fault:
    """What could not be read of a sample: without its picture, or its only text, it is skipped."""

    image_path: str
    part: Literal["image", "caption", "fields"]
    reason: str


@dataclass(frozen=True)
class BatchRows:
    """What became of one batch; its arrays and its metadata are in step.

    Attributes:
        images: unit rows; None where no pictures are wanted.
        texts: unit rows, zeros for a sample without a caption; None where no captions are wanted.
        metadata: one a row.
        faults: in the order of the samples.
        started: when, in seconds of the epoch.
        read_s: seconds spent on reading and decoding.
        inference_s: seconds spent on, and on waiting for, the model.
    """

    images: Rows | None
    texts: Rows | None
    metadata: list[MetadataRow]
    faults: list[Fault]
    started: float
    read_s: float
    inference_s: float

    @property
    def num_skipped(self) -> int:
        """Samples whose picture could not be read; where texts alone are wanted, whose text."""
        needed = "caption" if self.images is None else "image"
        return sum(fault.part == needed for fault in self.faults)


@final
class BatchWorker:
    """Embeds one batch after the other in an array of its own; every thread has its own worker.

    The model always gets a batch as long as its samples: a picture that cannot be read leaves a
    blank there, and its row is dropped. What a picture's row is so depends on the batch's size
    and nothing else that differs from run to run.

    Args:
        embedder: the model.
        batch_size: the longest batch.
        with_images: whether pictures are embedded.
        with_texts: whether captions are embedded.
        turnstile: is entered around the model.
    """

    def __init__(
        self,
        embedder: Embedder,
        *,
        batch_size: int,
        with_texts: bool,
        turnstile: AbstractContextManager[Any],
        with_images: bool = True,
    ) -> None:
        spec = embedder.card.image
        self._embedder = embedder
        self._with_images = with_images
        self._with_texts = with_texts
        self._turnstile = turnstile
        count = batch_size if with_images else 0
        self._pixels = np.zeros((count, 3, spec.height, spec.width), np.float32)

    def embed(self, samples: Sequence[Sample]) -> BatchRows:
        """Embed some samples; none is so broken that this raises."""
        started, begin = time.time(), time.perf_counter()
        read = self._read(samples) if self._with_images else _read_texts(samples)
        between = time.perf_counter()
        with self._turnstile:
            images = self._encode_images(len(samples), read.kept) if self._with_images else None
            texts = self._encode_texts(read.metadata) if self._with_texts else None
        return BatchRows(
            images=images,
            texts=texts,
            metadata=read.metadata,
            faults=read.faults,
            started=started,
            read_s=between - begin,
            inference_s=time.perf_counter() - between,
        )

    def _read(self, samples: Sequence[Sample]) -> _Read:
        read = _Read()
        for place, sample in enumerate(samples):
            try:
                self._pixels[place] = self._read_pixels(sample)
            except (OSError, ValueError, MemoryError) as error:
                self._pixels[place] = 0
                read.faults.append(Fault(sample.name, "image", _reason(error)))
            else:
                read.kept.append(place)
                read.metadata.append(_read_metadata(sample, read.faults))
        return read

    def _read_pixels(self, sample: Sample) -> Float32[np.ndarray, "3 h w"]:
        if sample.image is None:
            raise InputError("has no picture")
        # The decoder opens files itself: it refuses pipes, folders and what is too large.
        at = sample.image
        path = at.path if isinstance(at, Location) else None
        return self._embedder.read_pixels(path or read_content(at))

    def _encode_images(self, count: int, kept: list[int]) -> Rows:
        if not kept:
            return self._blank_rows(0)
        rows = self._embedder.encoder.encode_images(self._pixels[:count])  # (count, dim)
        return rows[kept].astype(np.float16)

    def _encode_texts(self, metadata: list[MetadataRow]) -> Rows:
        rows = self._blank_rows(len(metadata))
        captions = {i: row.caption for i, row in enumerate(metadata) if row.caption is not None}
        if captions:
            tokens = self._embedder.tokenizer(list(captions.values()))
            rows[list(captions)] = self._embedder.encoder.encode_texts(tokens)
        return rows

    def _blank_rows(self, count: int) -> Rows:
        return np.zeros((count, self._embedder.embedding_dim), np.float16)


@dataclass
class _Read:
    kept: list[int] = field(default_factory=list)
    metadata: list[MetadataRow] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def _read_texts(samples: Sequence[Sample]) -> _Read:
    """Read captions alone: a sample without one is skipped."""
    read = _Read()
    for place, sample in enumerate(samples):
        faults: list[Fault] = []
        row = _read_metadata(sample, faults)
        if row.caption is None and not any(fault.part == "caption" for fault in faults):
            faults.append(Fault(sample.name, "caption", "has no text"))
        read.faults += faults
        if row.caption is not None:
            read.kept.append(place)
            read.metadata.append(row)
    return read


def _read_metadata(sample: Sample, faults: list[Fault]) -> MetadataRow:
    caption, fields = None, {}
    try:
        caption = read_caption(sample.caption)
    except InputError as error:
        faults.append(Fault(sample.name, "caption", str(error)))
    try:
        fields = read_fields(sample.fields)
    except InputError as error:
        faults.append(Fault(sample.name, "fields", str(error)))
    return MetadataRow(sample.name, caption, fields)


def _reason(error: Exception) -> str:
    if isinstance(error, InvalidImageError):
        return error.reason
    return str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
