import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from clipworks.data.partitions import get_partition
from clipworks.data.samples import Sample
from clipworks.data.sources.source import AbstractPartition
from clipworks.embed.batch_feed import BatchFeed, Gathering


@pytest.fixture
def partitions():
    samples = [Sample(str(n)) for n in range(20)]
    return [get_partition(samples, 8, number) for number in (0, 2)]


def names(task):
    return "".join(sample.name + " " for sample in task.samples)


def test_gives_the_pending_partitions_batches_in_order(partitions):
    tasks = list(BatchFeed(partitions, 3))
    assert [(t.gathering.number, t.place, names(t)) for t in tasks] == [
        (0, 0, "0 1 2 "),
        (0, 1, "3 4 5 "),
        (0, 2, "6 7 "),
        (2, 0, "16 17 18 "),
        (2, 1, "19 "),
    ]
    assert tasks[0].gathering is tasks[2].gathering


def test_gives_every_batch_to_one_thread_only(partitions):
    feed = BatchFeed(partitions, 1)
    with ThreadPoolExecutor(4) as threads:
        taken = [names(t) for part in threads.map(list, [feed] * 4) for t in part]
    assert sorted(taken) == sorted(f"{n} " for n in [*range(8), *range(16, 20)])


def test_an_empty_partition_is_one_batch_without_samples():
    tasks = list(BatchFeed([get_partition([], 8, 0), get_partition([], 8, 2)], 3))
    assert [(task.gathering.number, task.place, names(task)) for task in tasks] == [
        (0, 0, ""),
        (2, 0, ""),
    ]
    assert tasks[0].gathering.add(0, "a") == ["a"]


def test_gives_nothing_after_a_stop(partitions):
    feed = BatchFeed(partitions, 3)
    tasks = iter(feed)
    next(tasks)
    feed.stop()
    assert list(tasks) == []


def test_gathers_batches_in_whatever_order_they_come():
    gathering = Gathering(0)
    assert gathering.add(2, "c") is None
    assert gathering.add(0, "a") is None
    gathering.expect(3)
    assert gathering.add(1, "b") == ["a", "b", "c"]


def test_the_time_that_a_source_takes_is_noted():
    class SlowPartition(AbstractPartition):
        number = 0

        def samples(self):
            for n in range(4):
                time.sleep(0.01)
                yield Sample(str(n))

    tasks = list(BatchFeed([SlowPartition()], 2))
    assert all(task.source_s >= 0.02 for task in tasks)


def test_a_stop_does_not_wait_for_a_slow_source_and_no_half_batch_comes_of_it():
    feeds = []

    class EndlessPartition(AbstractPartition):
        number = 0

        def samples(self):
            for n in range(1000):
                if n == 5:
                    feeds[0].stop()
                yield Sample(str(n))

    feeds.append(BatchFeed([EndlessPartition()], 2))
    assert [names(task) for task in feeds[0]] == ["0 1 "]
