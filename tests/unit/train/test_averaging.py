"""The running mean of the weights."""

import pytest
import torch
from torch import nn

from clipworks.train.averaging import WeightAverage


def set_weight(model: nn.Linear, value: float) -> None:
    with torch.no_grad():
        model.weight.fill_(value)


def test_follows_the_formula():
    model = nn.Linear(1, 1, bias=False)
    set_weight(model, 2.0)
    average = WeightAverage(model, decay=0.5)
    expected = 2.0
    for step, value in enumerate([4.0, -1.0, 3.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0]):
        set_weight(model, value)
        average.update(model, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
        assert average.model.weight.item() == pytest.approx(expected)


def test_the_mean_is_a_copy_that_nobody_trains():
    model = nn.Linear(2, 2)
    average = WeightAverage(model, decay=0.9)
    set_weight(model, 9.0)
    assert not average.model.weight.eq(9.0).any()
    assert not any(parameter.requires_grad for parameter in average.model.parameters())
