from pathlib import Path
from types import SimpleNamespace

import pytest

from clipworks.embed.embed_settings import EmbedSettings
from clipworks.embed.executors import local_executor
from clipworks.embed.executors.executor import ExecutorOptions
from clipworks.embed.executors.local_executor import LocalExecutor
from clipworks.embed.folder_plan import FolderPlan
from clipworks.embed.work_order import ModelOrder, WorkOrder
from clipworks.embed.worker import RowFormat


def order_for(device, **settings):
    plan = FolderPlan(Path("/out"), 4, {}, RowFormat(), EmbedSettings(**settings))
    return WorkOrder(plan, ModelOrder(Path("/bundle"), "f", "onnx", device))


@pytest.fixture
def machine(monkeypatch):
    monkeypatch.setattr(local_executor, "count_cores", lambda: 8)
    monkeypatch.setattr(local_executor, "list_gpus", lambda: ["H100", "H100", "H100", "H100"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def opened(monkeypatch, device, num_tasks=0):
    """What each seat's process is started with."""
    started = []

    def start(_, arguments, *, name):
        started.append((name, arguments))
        return SimpleNamespace(ask=lambda partition: None)

    monkeypatch.setattr(local_executor, "SideProcess", start)
    executor = LocalExecutor(ExecutorOptions(order_for(device), num_tasks))
    for seat in range(executor.num_tasks):
        executor.make(seat, None)
    return [gpu for _, (_, gpu) in started], executor


def test_each_process_sees_a_gpu_of_its_own(machine, monkeypatch):
    gpus, executor = opened(monkeypatch, "cuda")
    assert executor.num_tasks == 4
    assert gpus == ["0", "1", "2", "3"]
    assert opened(monkeypatch, "cuda", 2)[0] == ["0", "1"]


def test_gpus_that_are_hidden_are_not_used(machine, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-7")
    gpus, executor = opened(monkeypatch, "tensorrt")
    assert (executor.num_tasks, gpus) == (2, ["2", "GPU-7"])


def test_processes_on_a_cpu_share_its_cores(machine, monkeypatch):
    gpus, executor = opened(monkeypatch, "cpu", 4)
    assert gpus == [None] * 4
    assert executor._order.cores == 2
    assert opened(monkeypatch, "cpu")[1].num_tasks == 1


def test_a_workers_orders_are_settled_by_its_cores():
    order = order_for("cpu").for_cores(4).settle()
    assert (order.plan.settings.workers, order.model.num_threads) == (4, 1)
    order = order_for("cpu", num_workers=2).for_cores(4).settle()
    assert (order.plan.settings.workers, order.model.num_threads) == (2, 3)
    order = order_for("cuda", num_decoders=6, num_encoding=2).for_cores(8).settle()
    assert (order.plan.settings.workers, order.model.num_threads) == (8, 3)
    assert order_for("cuda").needs_gpu
    assert not order_for("http://host:8000").needs_gpu
