"""The distance to a teacher's features, against the formula in numpy."""

import numpy as np
import pytest
import torch

from clipworks.train.losses.cosine_distance import cosine_distance


def test_matches_the_formula():
    rng = np.random.default_rng(0)
    features, targets = rng.normal(size=(2, 5, 4))
    lengths = np.linalg.norm(features, axis=1) * np.linalg.norm(targets, axis=1)
    expected = np.mean(1 - (features * targets).sum(axis=1) / lengths)
    loss = cosine_distance(torch.from_numpy(features), torch.from_numpy(targets))
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_is_half_of_the_squared_error_of_unit_vectors():
    rng = np.random.default_rng(1)
    features, targets = rng.normal(size=(2, 5, 4))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    targets /= np.linalg.norm(targets, axis=1, keepdims=True)
    expected = ((features - targets) ** 2).sum(axis=1).mean() / 2
    loss = cosine_distance(torch.from_numpy(features), torch.from_numpy(targets))
    assert loss.item() == pytest.approx(expected, rel=1e-12)
