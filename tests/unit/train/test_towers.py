"""Sharing a batch out among threads changes no gradient, and a locked tower has none."""

from contextlib import closing

import pytest
import torch

from clipworks.models.clip import Clip
from clipworks.train.batches import Batch, TextTargets
from clipworks.train.towers import TowerRunner
from tests.support.tiny import tiny_clip
from tests.support.tiny_training import NoiseBatches

KEPT = torch.tensor([[0, 2], [1, 3], [0, 1], [2, 3], [3, 0], [1, 2], [2, 0]])


def double_clip() -> Clip:
    return tiny_clip().double()


def locked_clip() -> Clip:
    model = double_clip()
    model.visual.requires_grad_(False)
    return model


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


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_gradients_of_texts_alone_are_those_of_one_graph(workers):
    whole, shared = locked_clip(), locked_clip()
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(7, whole.config.embed_dim, dtype=torch.float64, generator=generator)
    batch = NoiseBatches(batch_size=7).batch(0)
    batch = Batch(None, batch.tokens, batch.positives, batch.groups, features)
    loss_of(features, whole.encode_text(batch.tokens)).backward()
    with closing(TowerRunner(shared, "fp32", workers)) as towers:
        found = towers.forward(batch, None)
        loss_of(found.images, found.texts).backward()
        towers.backward(found)
    assert torch.equal(found.images, features)
    for (name, one), other in zip(whole.named_parameters(), shared.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None), name
        assert (one.grad is None) == (not name.startswith("text.")), name
        if one.grad is not None:
            torch.testing.assert_close(other.grad, one.grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("workers", [1, 2])
def test_gradients_of_texts_in_parts_are_those_of_one_graph(workers):
    whole, shared = locked_clip(), locked_clip()
    tokens = NoiseBatches(batch_size=7).batch(0).tokens
    targets = torch.ones(len(tokens), whole.config.embed_dim, dtype=torch.float64)
    loss_of(targets, whole.encode_text(tokens)).backward()
    with closing(TowerRunner(shared, "fp32", workers)) as towers:
        found = towers.forward(TextTargets((tokens[:1], tokens[1:3], tokens[3:]), targets), None)
        assert found.images is None
        loss_of(targets, found.texts).backward()
        towers.backward(found)
    for (name, one), other in zip(whole.named_parameters(), shared.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None), name
        if one.grad is not None:
            torch.testing.assert_close(other.grad, one.grad, rtol=1e-9, atol=1e-12)
