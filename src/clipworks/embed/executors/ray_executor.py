"""Ray: one actor a seat, on this machine or on a cluster.

`RAY_ADDRESS` names a cluster (`auto` for the one that this machine belongs to); without it Ray is
started here. Each actor has one GPU where the model runs on one.
"""

from __future__ import annotations

import logging
import os
import re
import socket
from typing import Any, final

from clipworks.data.sources.source import AbstractPartition
from clipworks.embed.executors.executor import AbstractExecutor, ExecutorOptions, WorkerLostError
from clipworks.embed.partition_worker import make_here
from clipworks.embed.stages import Tally
from clipworks.embed.work_order import WorkOrder
from clipworks.errors import SettingsError
from clipworks.extras import require

_LOCAL_STORE_BYTES = 512 * 2**20  # partitions are small, and their results smaller
_REASON_LENGTH = 200
_HOST_AND_PORT = re.compile(r"(?:ray://)?(?P<host>[^/:]+):(?P<port>\d+)")
_REACH_S = 5.0


@final
class RayExecutor(AbstractExecutor):
    """Actors, started when their seat has its first partition.

    Args:
        options: `num_tasks` 0 is one actor a GPU of the cluster, or one a node on CPUs.

    Raises:
        MissingExtraError: Ray is not installed.
        SettingsError: the cluster that is named is not there.
    """

    def __init__(self, options: ExecutorOptions) -> None:
        self._ray: Any = require("ray", "--executor ray")
        self._started = not self._ray.is_initialized()
        if self._started:
            _start(self._ray)
        resources = self._ray.cluster_resources()
        needs_gpu = options.order.needs_gpu
        nodes = sum(node["Alive"] for node in self._ray.nodes())
        self._num_tasks = options.num_tasks or int(resources.get("GPU", 0) if needs_gpu else nodes)
        self._num_tasks = max(1, self._num_tasks)
        cores = max(1, int(resources.get("CPU", 1)) // self._num_tasks)
        self._order = options.order.for_cores(cores)
        self._actor = self._ray.remote(
            num_cpus=cores, num_gpus=1 if needs_gpu else 0, max_restarts=0
        )(_Worker)
        self._actors: dict[int, Any] = {}

    @property
    def num_tasks(self) -> int:
        """Actors."""
        return self._num_tasks

    def make(self, seat: int, partition: AbstractPartition) -> Tally:
        """Have a partition made by the seat's actor."""
        if seat not in self._actors:
            self._actors[seat] = self._actor.remote(self._order)
        try:
            succeeded, answer = self._ray.get(self._actors[seat].make.remote(partition))
        except self._ray.exceptions.RayError as error:
            self._ray.kill(self._actors.pop(seat))
            raise WorkerLostError(f"Ray lost its actor ({type(error).__name__})") from error
        if not succeeded:
            raise answer
        return answer

    def stop(self) -> None:
        """Kill the actors."""
        for actor in list(self._actors.values()):
            self._ray.kill(actor)

    def close(self) -> None:
        """Let go of the actors, and of Ray where it was started for us."""
        self.stop()
        self._actors.clear()
        if self._started:
            self._ray.shutdown()


@final
class _Worker:
    """An actor's class: it opens the model with its first partition, where errors can be told."""

    def __init__(self, order: WorkOrder) -> None:
        self._order = order

    def make(self, partition: AbstractPartition) -> tuple[bool, Tally | Exception]:
        try:
            return True, make_here(self._order, partition)
        except Exception as error:  # noqa: BLE001 - the process's border: it is raised there
            return False, error


def _start(ray: Any) -> None:  # noqa: ANN401 - the module
    """Join the cluster that is named, or start one here; stdout stays ours.

    Raises:
        SettingsError: neither can be done.
    """
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if not os.environ.get("RAY_ADDRESS"):
        options |= {
            "address": "local",
            "include_dashboard": False,
            "object_store_memory": _LOCAL_STORE_BYTES,
        }
    try:
        _reach(os.environ.get("RAY_ADDRESS", ""))
        ray.init(**options)
    except Exception as error:
        # Ray's own, of many kinds.
        where = os.environ.get("RAY_ADDRESS") or "this machine"
        reason = " ".join(str(error).split())[:_REASON_LENGTH]
        raise SettingsError(
            f"--executor ray: no Ray at {where} ({reason}): RAY_ADDRESS names a cluster, and "
            "without it Ray is started here"
        ) from error


def _reach(address: str) -> None:
    """Connect to a cluster once: Ray itself asks for minutes before it says that none is there.

    Raises:
        OSError: nothing answers.
    """
    if named := _HOST_AND_PORT.fullmatch(address):  # `auto` and folders are looked up by Ray
        socket.create_connection((named["host"], int(named["port"])), _REACH_S).close()
