import threading
from types import SimpleNamespace

import pytest

from clipworks.data.partitions import get_partition
from clipworks.data.samples import Sample
from clipworks.embed import dispatch, outcome
from clipworks.embed.dispatch import run_job_on
from clipworks.embed.executors.executor import AbstractExecutor, WorkerLostError
from clipworks.embed.stages import Tally
from clipworks.errors import BundleError, ClipworksError, FolderError


class ScriptedExecutor(AbstractExecutor):
    """Raises what a partition's script says, try by try, and then makes it."""

    def __init__(self, script, num_tasks=2):
        self.script, self.tries, self.stopped = script, [], False
        self._num_tasks, self._lock = num_tasks, threading.Lock()

    @property
    def num_tasks(self):
        return self._num_tasks

    def make(self, seat, partition):
        with self._lock:
            self.tries.append(partition.number)
            errors = self.script.get(partition.number, [])
            if errors:
                raise errors.pop(0)
        return Tally(handled=1)

    def stop(self):
        self.stopped = True

    def close(self):
        pass


@pytest.fixture
def run(monkeypatch):
    def start(script, *, num_partitions=6, **options):
        job = SimpleNamespace(
            source=SimpleNamespace(partition=lambda n: get_partition([Sample("a")], 1, n)),
            pending=list(range(num_partitions)),
        )
        record = SimpleNamespace(tally=Tally())
        record.numbers = []

        def add_partition(number, tally):
            record.numbers.append(number)
            record.tally += tally

        record.add_partition = add_partition
        monkeypatch.setattr(dispatch, "RunRecord", lambda job, report: record)
        monkeypatch.setattr(
            dispatch, "sum_up", lambda job, done, **rest: (done.tally, rest["failed"])
        )
        executor = ScriptedExecutor(script, **options)
        executor.record = record
        return executor, lambda: run_job_on(job, executor)

    return start


def test_every_partition_is_made_once(run):
    executor, go = run({})
    tally, failed = go()
    assert sorted(executor.tries) == list(range(6))
    assert (tally.handled, failed) == (6, [])
    assert sorted(executor.record.numbers) == list(range(6))


def test_what_fails_is_tried_twice_again_and_then_told(run):
    lost = [WorkerLostError("its process was killed") for _ in range(3)]
    executor, go = run({2: [ValueError("x"), ValueError("y")], 4: lost})
    tally, failed = go()
    assert (executor.tries.count(2), executor.tries.count(4)) == (3, 3)
    assert tally.handled == 5
    assert failed == [outcome.FailedPartition(4, "its process was killed")]


def test_a_models_error_ends_the_run_at_once(run):
    executor, go = run({0: [BundleError("no bundle there")]}, num_tasks=1)
    with pytest.raises(BundleError, match="no bundle there"):
        go()
    assert executor.tries == [0]
    assert executor.stopped


def test_a_folder_that_cannot_be_written_ends_the_run_after_retries(run):
    executor, go = run({0: [FolderError("full")] * 2, 1: [FolderError("full")] * 3}, num_tasks=1)
    with pytest.raises(FolderError, match="full"):
        go()
    assert executor.tries == [0, 0, 0, 1, 1, 1]


def test_a_run_in_which_all_fails_gives_up(run):
    script = {n: [RuntimeError("no clipworks here")] * 3 for n in range(1000)}
    _, go = run(script, num_partitions=1000)
    with pytest.raises(ClipworksError, match=r"first 10 partitions .* RuntimeError: no clipworks"):
        go()
