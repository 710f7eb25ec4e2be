"""What a worker on another machine is told: which model, which folder, how many cores.

It is small and can be pickled. The model goes by its bundle's folder, which every machine must see
or have, and by its fingerprint, which says that it is the same one there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from clipworks.devices import count_cores
from clipworks.embed.folder_plan import FolderPlan


@dataclass(frozen=True)
class ModelOrder:
    """A model, and how it is to be run.

    Attributes:
        bundle: its folder.
        fingerprint: at this precision.
        backend: the runtime, settled: never `auto`.
        device: `cpu`, `cuda`, ...
        precision: None for the bundle's own.
        num_threads: of a forward pass; 0 for as many as are best.
    """

    bundle: Path
    fingerprint: str
    backend: str
    device: str = "cpu"
    precision: str | None = None
    num_threads: int = 0


@dataclass(frozen=True)
class WorkOrder:
    """A worker's orders.

    Attributes:
        plan: of the folder.
        model: what embeds.
        cores: that the worker may use; 0 for all of its machine.
    """

    plan: FolderPlan
    model: ModelOrder
    cores: int = 0

    @property
    def needs_gpu(self) -> bool:
        """Whether each worker wants an accelerator of its own."""
        return self.model.device in ("cuda", "tensorrt")

    def for_cores(self, cores: int) -> WorkOrder:
        """The order of a worker that has so many cores."""
        return replace(self, cores=cores)

    def settle(self) -> WorkOrder:
        """Fill in, on the worker's machine, what depends on its cores."""
        cores = self.cores or count_cores()
        settings = self.plan.settings
        threads = self.model.num_threads or settings.threads_on(cores)
        settled = replace(settings, num_workers=settings.workers_on(cores))
        return WorkOrder(
            replace(self.plan, settings=settled), replace(self.model, num_threads=threads), cores
        )
