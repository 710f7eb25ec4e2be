"""Sharing a batch out among threads changes no gradient."""

from contextlib import closing

import pytest
import torch

from clipworks.models.clip import Clip
from clipworks.train.towers import TowerRunner
from tests.support.tiny import tiny_clip
from tests.support.tiny_training import NoiseBatches

KEPT = torch.tensor([[0, 2], [1, 3], [0, 1], [2, 3], [3, 0], [1, 2], [2, 0]])


def double_clip() -> Clip:
    return tiny_clip().double()


def loss_of(images: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
    return (images @ texts.T).square().mean()


def gradients(model: Clip, workers: int, kept: torch.Tensor | None) -> dict[str, torch.Tensor]:
    batch = NoiseBatches(batch_size=7).batch(0)
    batch = type(batch)(batch.pixels.double(), batch.tokens, batch.positives, batch.groups)
    with closing(TowerRunner(model, "fp32", workers)) as towers:
        features = towers.forward(batch, kept)
        loss_of(features.images, features.texts).backward()
        towers.backward(features)
    return {name: value.grad for name, value in model.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("kept", [None, KEPT], ids=["all patches", "some patches"])
def test_gradients_are_those_of_one_graph(workers, kept):
    model = double_clip()
    batch = NoiseBatches(batch_size=7).batch(0)
    loss_of(*model(batch.pixels.double(), batch.tokens, kept)).backward()
    expected = {
        name: value.grad for name, value in model.named_parameters() if value.grad is not None
    }
    found = gradients(double_clip(), workers, kept)
    assert expected.keys() == found.keys()
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_the_same_workers_give_the_same_bits():
    runs = [gradients(double_clip(), 3, KEPT) for _ in range(3)]
    for run in runs[1:]:
        torch.testing.assert_close(run, runs[0], rtol=0, atol=0)
