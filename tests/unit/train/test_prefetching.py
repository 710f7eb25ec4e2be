"""Batches made ahead are the same batches."""

import threading
from contextlib import closing

import pytest

from clipworks.train.batches import AbstractBatches
from clipworks.train.prefetching import PrefetchedBatches


class CountingBatches(AbstractBatches):
    """Each batch is its own step; step 3 fails."""

    def __init__(self):
        self.made = []
        self.changed = threading.Condition()

    def batch(self, step):
        with self.changed:
            self.made.append(step)
            self.changed.notify_all()
        if step == 3:
            raise ValueError("step three")
        return step


def test_each_comes_once_and_the_next_is_made_ahead():
    source = CountingBatches()
    with closing(PrefetchedBatches(source, last=2)) as batches:
        assert batches.batch(0) == 0
        with source.changed:
            assert source.changed.wait_for(lambda: 1 in source.made, timeout=10)
        assert [batches.batch(1), batches.batch(2)] == [1, 2]
    assert source.made == [0, 1, 2]


def test_an_error_comes_at_its_own_step():
    with closing(PrefetchedBatches(CountingBatches(), last=9)) as batches:
        assert batches.batch(2) == 2
        with pytest.raises(ValueError, match="step three"):
            batches.batch(3)


def test_a_jump_is_served():
    with closing(PrefetchedBatches(CountingBatches(), last=99)) as batches:
        assert [batches.batch(5), batches.batch(50), batches.batch(51)] == [5, 50, 51]
