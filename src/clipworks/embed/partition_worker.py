"""One partition after the other, in a process of its own, wherever that is."""

from __future__ import annotations

from contextlib import ExitStack
from typing import final

from clipworks.data.sources.source import AbstractPartition
from clipworks.embed.pipeline import make_partitions, open_readers
from clipworks.embed.stages import Tally
from clipworks.embed.work_order import WorkOrder
from clipworks.encoders.bundle import read_bundle
from clipworks.encoders.computed_precision import card_at
from clipworks.encoders.loading import load
from clipworks.errors import ModelMismatchError


@final
class PartitionWorker:
    """Keeps a model, and makes partitions with it.

    Args:
        order: what to make, and how.

    Raises:
        BundleError: the bundle is not there, or damaged.
        ModelMismatchError: it is another one than the order names.
    """

    def __init__(self, order: WorkOrder) -> None:
        order = order.settle()
        model = order.model
        bundle = read_bundle(model.bundle)
        card = card_at(bundle.card, model.precision)
        if card.fingerprint != model.fingerprint:
            raise ModelMismatchError(
                f"{model.bundle} has the fingerprint {card.fingerprint} on this worker, not "
                f"{model.fingerprint}: put the same bundle on all machines"
            )
        self._plan = order.plan
        self._embedder = load(
            bundle,
            backend=model.backend,
            device=model.device,
            precision=model.precision,
            num_threads=model.num_threads,
        )
        self._held = ExitStack()
        self._readers = self._held.enter_context(open_readers(order.plan, card.image))

    def __call__(self, partition: AbstractPartition) -> Tally:
        """Make a partition.

        Raises:
            FolderError: the folder cannot be written.
        """
        tally = Tally()

        def count(part: Tally) -> None:
            nonlocal tally
            tally += part

        make_partitions(self._plan, [partition], self._embedder, self._readers, count)
        return tally

    def close(self) -> None:
        """Let go of the decoders."""
        self._held.close()


@final
class _Keeper:
    """Keeps this process's worker from one partition to the next."""

    def __init__(self) -> None:
        self._order: WorkOrder | None = None
        self._worker: PartitionWorker | None = None

    def worker(self, order: WorkOrder) -> PartitionWorker:
        if self._worker is None or self._order != order:
            if self._worker:
                self._worker.close()
            self._worker, self._order = PartitionWorker(order), order
        return self._worker


_keeper = _Keeper()


def make_here(order: WorkOrder, partition: AbstractPartition) -> Tally:
    """Make a partition with this process's worker, which is opened once for an order.

    Raises:
        ClipworksError: as `PartitionWorker` says.
    """
    return _keeper.worker(order)(partition)
