import os
import sys
from types import SimpleNamespace

import pytest

from clipworks.embed.executors import spark_executor
from clipworks.errors import SettingsError


@pytest.fixture
def task(monkeypatch):
    """A task to which Spark names a GPU."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    resources = {"gpu": SimpleNamespace(addresses=["3"])}
    context = SimpleNamespace(get=lambda: SimpleNamespace(resources=lambda: resources))
    monkeypatch.setitem(sys.modules, "pyspark", SimpleNamespace(TaskContext=context))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # so that it is put back
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    return resources


def test_a_task_takes_the_gpu_that_spark_names(task):
    spark_executor._take_gpu()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"
    spark_executor._take_gpu()


def test_a_process_that_is_named_another_gpu_says_how_to_avoid_it(task):
    spark_executor._take_gpu()
    task["gpu"] = SimpleNamespace(addresses=["1"])
    with pytest.raises(SettingsError, match="runs on GPU 3, and Spark now names 1"):
        spark_executor._take_gpu()


def test_a_spark_that_names_none_is_told_how(task):
    task.clear()
    with pytest.raises(SettingsError, match=r"spark\.task\.resource\.gpu\.amount"):
        spark_executor._take_gpu()
