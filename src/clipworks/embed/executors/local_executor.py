"""Processes on this machine: one a GPU, or some that share out the cores."""

from __future__ import annotations

import os
from typing import final

from clipworks.data.sources.source import AbstractPartition
from clipworks.devices import count_cores, list_gpus
from clipworks.embed.executors.executor import (
    GPU_VARIABLE,
    AbstractExecutor,
    ExecutorOptions,
    WorkerLostError,
)
from clipworks.embed.side_process import Answer, ProcessDiedError, SideProcess
from clipworks.embed.stages import Tally
from clipworks.embed.work_order import WorkOrder


@final
class LocalExecutor(AbstractExecutor):
    """Processes beside this one, started when their seat has its first partition.

    Args:
        options: `num_tasks` 0 is one process a GPU, or one in all on a CPU.
    """

    def __init__(self, options: ExecutorOptions) -> None:
        self._gpus = _visible_gpus() if options.order.needs_gpu else []
        self._num_tasks = options.num_tasks or max(1, len(self._gpus))
        self._order = options.order.for_cores(max(1, count_cores() // self._num_tasks))
        self._processes: dict[int, SideProcess] = {}

    @property
    def num_tasks(self) -> int:
        """Processes."""
        return self._num_tasks

    def make(self, seat: int, partition: AbstractPartition) -> Tally:
        """Have a partition made by the seat's process."""
        if seat not in self._processes:
            gpu = self._gpus[seat % len(self._gpus)] if self._gpus else None
            self._processes[seat] = SideProcess(
                _open_worker, (self._order, gpu), name=f"clipworks-worker-{seat}"
            )
        try:
            return self._processes[seat].ask(partition)
        except ProcessDiedError as error:
            del self._processes[seat]
            raise WorkerLostError(f"its process {error}") from error

    def stop(self) -> None:
        """Kill the processes."""
        for process in list(self._processes.values()):
            process.kill()

    def close(self) -> None:
        """Let the processes end."""
        for process in self._processes.values():
            process.close()
        self._processes.clear()


def _visible_gpus() -> list[str]:
    """What each process is to see, as `CUDA_VISIBLE_DEVICES` names it."""
    given = os.environ.get(GPU_VARIABLE)
    if given is not None:
        return [name for name in given.split(",") if name.strip()]
    return [str(number) for number in range(len(list_gpus()))]


def _open_worker(order: WorkOrder, gpu: str | None) -> Answer:
    if gpu is not None:
        os.environ[GPU_VARIABLE] = gpu  # before anything that looks for GPUs is imported
    from clipworks.embed.partition_worker import PartitionWorker

    return PartitionWorker(order)
