"""Spark: one job of one task a partition, so that one which fails takes no other with it.

The session is the one that there is, or is made with what `spark-submit` or `spark-defaults.conf`
says; without either it runs here (`local[N]`). On GPUs give each Spark executor one
(`spark.executor.resource.gpu.amount=1`, `spark.task.resource.gpu.amount=1`): the task then uses the
one that Spark names.
"""

from __future__ import annotations

import os
import sys
from typing import Any, final

from clipworks.data.sources.source import AbstractPartition
from clipworks.devices import count_cores
from clipworks.embed.executors.executor import (
    GPU_VARIABLE,
    AbstractExecutor,
    ExecutorOptions,
    WorkerLostError,
)
from clipworks.embed.stages import Tally
from clipworks.embed.work_order import WorkOrder
from clipworks.errors import SettingsError
from clipworks.extras import require


@final
class SparkExecutor(AbstractExecutor):
    """Tasks of a Spark application.

    Args:
        options: `num_tasks` 0 is as many as Spark runs at once by itself.

    Raises:
        MissingExtraError: PySpark is not installed.
        SettingsError: Spark does not start.
    """

    def __init__(self, options: ExecutorOptions) -> None:
        sql: Any = require("pyspark.sql", "--executor spark")
        self._started = sql.SparkSession.getActiveSession() is None
        self._session = _open_session(sql, options.num_tasks)
        self._context = self._session.sparkContext
        self._num_tasks = options.num_tasks or self._context.defaultParallelism
        local = self._context.master.startswith("local")
        cores = max(1, count_cores() // self._num_tasks) if local else self._task_cores()
        self._order = options.order.for_cores(cores)

    @property
    def num_tasks(self) -> int:
        """Tasks at once."""
        return self._num_tasks

    def make(self, seat: int, partition: AbstractPartition) -> Tally:
        """Have a partition made by a task."""
        order = self._order
        job = self._context.parallelize([partition], 1).map(lambda part: _make(order, part))
        try:
            ((succeeded, answer),) = job.collect()
        except Exception as error:
            raise WorkerLostError(f"Spark lost its task ({type(error).__name__})") from error
        if not succeeded:
            raise answer
        return answer

    def stop(self) -> None:
        """Cancel what is running."""
        self._context.cancelAllJobs()

    def close(self) -> None:
        """Stop Spark, where it was started for us."""
        if self._started:
            self._session.stop()

    def _task_cores(self) -> int:
        return int(self._context.getConf().get("spark.task.cpus", "1"))


def _open_session(sql: Any, num_tasks: int) -> Any:  # noqa: ANN401 - untyped there
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = sql.SparkSession.builder.appName("clipworks embed")
    config = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
    }
    if "SPARK_MASTER" not in os.environ and not _is_submitted():
        config["spark.master"] = f"local[{num_tasks or count_cores()}]"
    for name, value in config.items():
        builder = builder.config(name, value)
    try:
        return builder.getOrCreate()
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise SettingsError(
            f"--executor spark: Spark does not start ({reason}): it needs a Java of version 17 or "
            "later (apt-get install openjdk-17-jre-headless)"
        ) from error


def _is_submitted() -> bool:
    """Whether `spark-submit` started us, or a folder of settings says where Spark is."""
    return "PYSPARK_GATEWAY_PORT" in os.environ or "SPARK_CONF_DIR" in os.environ


def _make(order: WorkOrder, partition: AbstractPartition) -> tuple[bool, Tally | Exception]:
    """What a task does, in a Python process that Spark keeps for the next one."""
    try:
        if order.needs_gpu:
            _take_gpu()
        from clipworks.embed.partition_worker import make_here

        return True, make_here(order, partition)
    except Exception as error:  # noqa: BLE001 - the process's border: it is raised there
        return False, error


def _take_gpu() -> None:
    from pyspark import TaskContext

    context = TaskContext.get()
    resources = context.resources() if context else {}
    if "gpu" not in resources:
        raise SettingsError(
            "--executor spark on a GPU: Spark names none to its tasks; set "
            "spark.executor.resource.gpu.amount and spark.task.resource.gpu.amount to 1"
        )
    address = resources["gpu"].addresses[0]
    bound = os.environ.setdefault(GPU_VARIABLE, address)
    if bound != address:
        raise SettingsError(
            f"--executor spark: this process runs on GPU {bound}, and Spark now names {address}: "
            "give each Spark executor one GPU (spark.executor.resource.gpu.amount=1)"
        )
