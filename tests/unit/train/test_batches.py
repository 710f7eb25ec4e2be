"""What belongs together."""

import torch

from clipworks.train.batches import positives_of_groups


def test_positives_of_groups():
    positives = positives_of_groups(torch.tensor([1, 1, 2]), torch.tensor([2, 1]))
    assert positives.tolist() == [[0, 1], [0, 1], [1, 0]]
