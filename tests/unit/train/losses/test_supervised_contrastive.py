"""The loss between pictures, against a naive reference in float64."""

import numpy as np
import pytest
import torch

from clipworks.train.losses.supervised_contrastive import supervised_contrastive

GROUPS = torch.tensor([4, 4, 7, 4, 7, 9])


def naive(features: np.ndarray, groups: np.ndarray, temperature: float) -> float:
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    losses = []
    for anchor in range(len(units)):
        others = [other for other in range(len(units)) if other != anchor]
        positives = [other for other in others if groups[other] == groups[anchor]]
        if not positives:
            continue
        partition = sum(np.exp(units[anchor] @ units[other] / temperature) for other in others)
        terms = [
            np.log(np.exp(units[anchor] @ units[p] / temperature) / partition) for p in positives
        ]
        losses.append(-np.mean(terms))
    return float(np.mean(losses))


@pytest.fixture
def features() -> torch.Tensor:
    return torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_matches_the_naive_formula(features, temperature):
    loss = supervised_contrastive(features, GROUPS, temperature)
    expected = naive(features.numpy(), GROUPS.numpy(), temperature)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_length_of_features_does_not_matter(features):
    longer = supervised_contrastive(features * 5, GROUPS)
    torch.testing.assert_close(longer, supervised_contrastive(features, GROUPS))


def test_gradient_is_that_of_finite_differences(features):
    features.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: supervised_contrastive(x, GROUPS), features)


def test_pictures_that_are_all_alone_give_no_loss(features):
    assert supervised_contrastive(features, torch.arange(6)).item() == 0
