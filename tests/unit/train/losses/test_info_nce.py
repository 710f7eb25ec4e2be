"""InfoNCE against a naive reference in float64."""

import numpy as np
import pytest
import torch

from clipworks.train.losses.info_nce import info_nce, soft_cross_entropy


def naive_direction(logits: np.ndarray, weights: np.ndarray, smoothing: float) -> float:
    losses = []
    for row, row_weights in zip(logits, weights, strict=True):
        if row_weights.sum() == 0:
            continue
        chances = np.exp(row) / np.exp(row).sum()
        loss = 0.0
        for chance, weight in zip(chances, row_weights, strict=True):
            target = (1 - smoothing) * weight / row_weights.sum() + smoothing / len(row)
            loss -= target * np.log(chance)
        losses.append(loss)
    return float(np.mean(losses)) if losses else 0.0


def naive(logits: np.ndarray, weights: np.ndarray, smoothing: float = 0.0) -> float:
    forth = naive_direction(logits, weights, smoothing)
    return (forth + naive_direction(logits.T, weights.T, smoothing)) / 2


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) * 3


@pytest.fixture
def positives() -> torch.Tensor:
    weights = torch.zeros(6, 4, dtype=torch.float64)
    weights[range(6), [0, 0, 1, 2, 3, 3]] = 1
    weights[0, 3] = 0.3
    weights[4, 1] = 0.5
    return weights


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_several_positives_match_the_naive_formula(logits, positives, smoothing):
    loss = info_nce(logits, positives, smoothing)
    expected = naive(logits.numpy(), positives.numpy(), smoothing)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_one_positive_each_is_the_cross_entropy_of_the_diagonal(logits):
    square = logits[:4]
    diagonal = torch.arange(4)
    entropy = torch.nn.functional.cross_entropy
    expected = (entropy(square, diagonal) + entropy(square.T, diagonal)) / 2
    torch.testing.assert_close(info_nce(square, torch.eye(4, dtype=torch.float64)), expected)


def test_rows_and_columns_without_positives_are_left_out(logits, positives):
    positives[2] = 0
    positives[:, 2] = 0  # takes row 3's only positive as well
    expected = naive(logits.numpy(), positives.numpy())
    assert info_nce(logits, positives).item() == pytest.approx(expected, rel=1e-12)


def test_nothing_positive_is_no_loss_and_no_gradient(logits):
    logits.requires_grad_()
    loss = info_nce(logits, torch.zeros(6, 4, dtype=torch.float64))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_scaling_all_weights_changes_nothing(logits, positives):
    torch.testing.assert_close(info_nce(logits, positives), info_nce(logits, 7 * positives))


def test_huge_logits_stay_finite():
    logits = torch.tensor([[2000.0, -2000.0], [-2000.0, 2000.0]])
    assert info_nce(logits, torch.eye(2)).item() == pytest.approx(0.0)
    assert info_nce(logits, 1 - torch.eye(2)).item() == pytest.approx(4000.0)


def test_gradient_is_that_of_finite_differences(logits, positives):
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: info_nce(z, positives, 0.1), logits)


def test_gradient_of_a_row_sums_to_zero(logits, positives):
    logits.requires_grad_()
    soft_cross_entropy(logits, positives).backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad.sum(dim=1), torch.zeros(6, dtype=torch.float64))
