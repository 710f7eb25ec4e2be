"""The one interface of executors: they decide where a partition is made, and nothing else.

Which partitions there are, how often one is tried, and what is told of it is the dispatcher's
(`clipworks.embed.dispatch`); how one is made is the worker's (`clipworks.embed.partition_worker`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from clipworks.data.sources.source import AbstractPartition
from clipworks.embed.stages import Tally
from clipworks.embed.work_order import WorkOrder
from clipworks.registry import Registry

GPU_VARIABLE = "CUDA_VISIBLE_DEVICES"
"""Names the GPUs that a process sees."""


@dataclass(frozen=True)
class ExecutorOptions:
    """What an executor is opened with.

    Attributes:
        order: what each worker is told.
        num_tasks: workers; 0 for what the executor finds best.
    """

    order: WorkOrder
    num_tasks: int = 0


class WorkerLostError(Exception):
    """The worker that had the partition is gone; the message says how, in a few words."""


class AbstractExecutor(ABC):
    """Some workers, each in a process of its own. It takes `ExecutorOptions`."""

    @property
    @abstractmethod
    def num_tasks(self) -> int:
        """How many workers there are."""

    @abstractmethod
    def make(self, seat: int, partition: AbstractPartition) -> Tally:
        """Have a partition made, and wait for it.

        It is called by `num_tasks` threads, each with a `seat` of its own, 0 to `num_tasks` - 1.

        Raises:
            WorkerLostError: the worker is gone; the next call with this seat has another one.
            Exception: what the worker raised.
        """

    @abstractmethod
    def stop(self) -> None:
        """Give up what is being made: threads that wait in `make` get `WorkerLostError`."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the workers; nobody waits in `make` any more."""


EXECUTORS = Registry(
    "executor",
    {
        "local": "clipworks.embed.executors.local_executor:LocalExecutor",
        "ray": "clipworks.embed.executors.ray_executor:RayExecutor",
        "spark": "clipworks.embed.executors.spark_executor:SparkExecutor",
    },
)
