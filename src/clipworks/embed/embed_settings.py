"""How a run of `embed` is cut up and shared out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from clipworks.devices import count_cores
from clipworks.errors import SettingsError


@dataclass(frozen=True)
class EmbedSettings:
    """How the work is cut up and shared out.

    Attributes:
        batch_size: pictures in one forward pass; 32 is best on a CPU, a GPU likes 128 and more.
        partition_size: samples in one partition, which is what a kill may lose.
        num_workers: threads, each of which carries one batch from disk to rows; 0 for one a core.
        num_encoding: how many of them may be in the model at once; 0 for all.
    """

    batch_size: int = 32
    partition_size: int = 2048
    num_workers: int = 0
    num_encoding: int = 0

    def __post_init__(self) -> None:
        least = {"batch_size": 1, "partition_size": 1, "num_workers": 0, "num_encoding": 0}
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise SettingsError(f"{name} {getattr(self, name)}: expected {lowest} or more")

    @property
    def workers(self) -> int:
        """Threads, in the end."""
        return self.num_workers or count_cores()

    @property
    def threads_per_batch(self) -> int:
        """How many threads to give the model, so that all cores work and none is wanted twice.

        Callers of ONNX Runtime share its threads, and each works along in its own.
        """
        return max(1, count_cores() - self.workers + 1)

    @property
    def deciding(self) -> dict[str, Any]:
        """What the folder's content depends on, to the last bit."""
        return {"batch_size": self.batch_size, "partition_size": self.partition_size}
