"""The learning rate at its turning points."""

import pytest

from clipworks.train.config import TrainConfig
from clipworks.train.schedules import learning_rate_at


def config(**changes: float) -> TrainConfig:
    fields = {"steps": 110, "batch_size": 1, "learning_rate": 2.0, "warmup_steps": 10}
    return TrainConfig(**{**fields, **changes})


def test_warms_up_in_a_straight_line():
    rates = [learning_rate_at(step, config()) for step in range(10)]
    assert rates == pytest.approx([0.2 * (step + 1) for step in range(10)])


def test_cosine_passes_the_middle_and_ends_at_the_floor():
    settings = config(learning_rate_floor=0.1)
    assert learning_rate_at(10, settings) == pytest.approx(2.0)
    assert learning_rate_at(60, settings) == pytest.approx((2.0 + 0.2) / 2)
    assert learning_rate_at(110, settings) == pytest.approx(0.2)


def test_plateau_lasts_until_the_decay():
    settings = config(decay_from=0.5)
    assert {learning_rate_at(step, settings) for step in range(10, 56)} == {2.0}
    assert learning_rate_at(56, settings) < 2.0


def test_falls_all_the_way_after_the_warm_up():
    rates = [learning_rate_at(step, config()) for step in range(10, 110)]
    assert rates == sorted(rates, reverse=True)


def test_without_warm_up_it_starts_at_the_top():
    assert learning_rate_at(0, config(warmup_steps=0)) == 2.0
