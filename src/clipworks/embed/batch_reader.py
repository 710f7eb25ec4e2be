"""A batch's samples to pixels, or to texts alone; what cannot be read is noted.

Axes: slot (places of a batch), 3, h and w (pixels).
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, final

import numpy as np
from jaxtyping import Float32

from clipworks.data.columns import MetadataRow
from clipworks.data.contents import Content, Location, read_content
from clipworks.data.samples import Sample, read_caption, read_fields
from clipworks.errors import InputError, InvalidImageError
from clipworks.inputs.decoding import decode_image, read_picture_file
from clipworks.inputs.images import ImageTransform
from clipworks.inputs.specs import ImageSpec

Slots = Float32[np.ndarray, "slot 3 h w"]


@dataclass(frozen=True)
class Fault:
    """What could not be read of a sample: without its picture, or its only text, it is skipped."""

    image_path: str
    part: Literal["image", "caption", "fields"]
    reason: str


@dataclass
class ReadBatch:
    """What became of a batch's samples, but for the pixels themselves.

    Attributes:
        kept: places whose pixels are there, in order.
        metadata: one for each of them.
        faults: in the order of the samples.
        read_s: seconds spent on getting at bytes.
        decode_s: seconds spent on decoding and resizing.
    """

    kept: list[int] = field(default_factory=list)
    metadata: list[MetadataRow] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    read_s: float = 0.0
    decode_s: float = 0.0


class AbstractBatchReader(ABC):
    """Fills an array of its own with a batch's pixels; every thread has its own reader."""

    @property
    @abstractmethod
    def pixels(self) -> Slots:
        """Where the pixels of the last batch stand; a place that is not kept is blank."""

    @abstractmethod
    def read(self, samples: Sequence[Sample]) -> ReadBatch:
        """Read a batch; no sample is so broken that this raises."""


@final
class ThreadReader(AbstractBatchReader):
    """Reads in the thread that asks.

    Args:
        decoder: does the work.
        batch_size: the longest batch.
    """

    def __init__(self, decoder: SampleDecoder, batch_size: int) -> None:
        self._decoder = decoder
        self._pixels = np.zeros((batch_size, *decoder.shape), np.float32)

    @property
    def pixels(self) -> Slots:
        """Where the pixels of the last batch stand."""
        return self._pixels

    def read(self, samples: Sequence[Sample]) -> ReadBatch:
        """Read a batch."""
        return self._decoder.read(samples, self._pixels)


@final
class TextReader(AbstractBatchReader):
    """Reads captions alone: a sample without one is skipped."""

    @property
    def pixels(self) -> Slots:
        """There are none."""
        return np.zeros((0, 3, 0, 0), np.float32)

    def read(self, samples: Sequence[Sample]) -> ReadBatch:
        """Read a batch."""
        read, begin = ReadBatch(), time.perf_counter()
        for place, sample in enumerate(samples):
            faults: list[Fault] = []
            row = _read_metadata(sample, faults)
            if row.caption is not None:
                read.kept.append(place)
                read.metadata.append(row)
            elif not any(fault.part == "caption" for fault in faults):
                faults.append(Fault(sample.name, "caption", "has no text"))
            read.faults.extend(faults)
        read.read_s = time.perf_counter() - begin
        return read


@final
class SampleDecoder:
    """Turns samples into pixels as a model wants them.

    Args:
        spec: what the model wants.
        fast_decode: whether JPEGs may be decoded at reduced scale.
        fast_resize: whether levels may come out one higher or lower (see `ImageTransform`).

    Raises:
        MissingExtraError: there is no `fast_resize` here.
    """

    def __init__(
        self, spec: ImageSpec, *, fast_decode: bool = False, fast_resize: bool = False
    ) -> None:
        self._transform = ImageTransform(spec, fast_resize=fast_resize)
        self._least_size = self._transform.least_size if fast_decode else None
        self.shape = (3, spec.height, spec.width)

    def read(
        self,
        samples: Sequence[Sample],
        out: Slots,
        *,
        lost: Mapping[int, str] | None = None,
        tell: Callable[[int], None] | None = None,
    ) -> ReadBatch:
        """Read a batch into the first places of `out`.

        Args:
            samples: of the batch.
            out: at least as long as the batch.
            lost: samples that are not to be tried (again), by place, each with the reason.
            tell: is told each place before it is tried.
        """
        read = ReadBatch()
        for place, sample in enumerate(samples):
            if tell:
                tell(place)
            try:
                if lost and place in lost:
                    raise InputError(lost[place])
                self._decode(sample, out[place], read)
            except (OSError, ValueError, MemoryError) as error:
                out[place] = 0
                read.faults.append(Fault(sample.name, "image", _reason(error)))
            else:
                read.kept.append(place)
                begin = time.perf_counter()
                read.metadata.append(_read_metadata(sample, read.faults))
                read.read_s += time.perf_counter() - begin
        return read

    def _decode(self, sample: Sample, out: Float32[np.ndarray, "3 h w"], read: ReadBatch) -> None:
        begin = time.perf_counter()
        raw = _read_picture(sample.image)
        between = time.perf_counter()
        self._transform.write(decode_image(raw, least_size=self._least_size), out)
        read.decode_s += time.perf_counter() - between
        read.read_s += between - begin


def _read_picture(content: Content | None) -> bytes:
    if content is None:
        raise InputError("has no picture")
    if isinstance(content, Location) and content.path:
        return read_picture_file(content.path)  # it refuses pipes, folders and what is too large
    return read_content(content)


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
