"""How a run of `embed` is cut up and shared out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from clipworks.data.stored_rows import check_store
from clipworks.devices import count_cores
from clipworks.errors import SettingsError


@dataclass(frozen=True)
class EmbedSettings:
    """How the work is cut up and shared out, and what is kept of it.

    Attributes:
        batch_size: pictures in one forward pass; 0 for as many as the folder was begun with, or as
            are best on the model's device (`open_job` fills it in). A GPU likes 128 and more.
        partition_size: samples in one partition, which is what a kill may lose.
        num_workers: threads, each of which carries one batch from disk to rows; 0 for one a core,
            or for as many as `num_decoders` keep busy.
        num_encoding: how many of them may be in the model at once; 0 for all.
        num_decoders: processes that read and decode; 0 to do it in the threads.
        fast_decode: whether JPEGs are decoded at reduced scale where the model wants far fewer
            pixels (see `decode_image`).
        fast_resize: whether pictures are resized in vector instructions, which moves a few levels
            in a thousand by one; None for what the folder was begun with, or for whether it can be
            done here (`open_job` fills it in).
        store: how a row is kept: `fp16`, `int8` or `binary` (see `clipworks.data.stored_rows`).
        dim: how many of a row's numbers are kept; 0 for all.
    """

    batch_size: int = 0
    partition_size: int = 2048
    num_workers: int = 0
    num_encoding: int = 0
    num_decoders: int = 0
    fast_decode: bool = False
    fast_resize: bool | None = None
    store: str = "fp16"
    dim: int = 0

    def __post_init__(self) -> None:
        counts = ("batch_size", "num_workers", "num_encoding", "num_decoders", "dim")
        least = {**dict.fromkeys(counts, 0), "partition_size": 1}
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise SettingsError(f"{name} {getattr(self, name)}: expected {lowest} or more")
        check_store(self.store)

    @property
    def workers(self) -> int:
        """Threads, in the end."""
        return self.workers_on(count_cores())

    def workers_on(self, cores: int) -> int:
        """Threads, on so many cores."""
        if self.num_workers:
            return self.num_workers
        if self.num_decoders:
            return self.num_decoders + (self.num_encoding or 1)
        return cores

    @property
    def encoding(self) -> int:
        """How many threads may be in the model at once, in the end."""
        return min(self.num_encoding, self.workers) or self.workers

    @property
    def threads_per_batch(self) -> int:
        """How many threads to give the model, so that all cores work and none is wanted twice.

        Callers of ONNX Runtime share its threads, and each works along in its own.
        """
        return self.threads_on(count_cores())

    def threads_on(self, cores: int) -> int:
        """`threads_per_batch`, on so many cores."""
        busy = self.num_decoders or self.workers_on(cores)
        return max(1, cores - busy + 1)

    @property
    def deciding(self) -> dict[str, Any]:
        """What the folder's content depends on, to the last bit."""
        return {
            "batch_size": self.batch_size,
            "partition_size": self.partition_size,
            "decode": "fast" if self.fast_decode else "exact",
            "resize": "fast" if self.fast_resize else "exact",
            "store": self.store,
            "dim": self.dim,
        }
