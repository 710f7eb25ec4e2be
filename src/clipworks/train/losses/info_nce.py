"""InfoNCE over a batch in which a picture may have several right texts, and a text pictures.

Axes: image (pictures in the batch), text (texts in the batch), row and column (either way round).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def info_nce(
    logits: Float[Tensor, "image text"],
    positives: Float[Tensor, "image text"],
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """The mean of the losses picture to text and text to picture.

    Radford et al., arXiv 2103.00020, figure 3, with the soft targets of Khosla et al., arXiv
    2004.11362, equation 2 (the sum outside the logarithm): in each direction

        L = -mean over rows of sum_j t_ij (z_ij - log sum_k exp z_ik),  t_ij = p_ij / sum_k p_ik

    Args:
        logits: scaled cosines z.
        positives: weights p >= 0; 0 where picture and text do not belong together. A row or a
            column of zeros is left out of its direction's mean.
        label_smoothing: in [0, 1): the share of each target spread evenly over its row.
    """
    to_text = soft_cross_entropy(logits, positives, label_smoothing)
    to_image = soft_cross_entropy(logits.T, positives.T, label_smoothing)
    return (to_text + to_image) / 2


def soft_cross_entropy(
    logits: Float[Tensor, "row column"],
    weights: Float[Tensor, "row column"],
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """One direction of `info_nce`: the mean over the rows that have a positive."""
    totals = weights.sum(dim=1, keepdim=True)  # [row 1]
    has_positive = totals.squeeze(1) > 0  # [row]
    targets = weights / totals.clamp_min(torch.finfo(weights.dtype).tiny)  # [row column]
    targets = (1 - label_smoothing) * targets + label_smoothing / weights.shape[1]
    log_partition = torch.logsumexp(logits, dim=1)  # [row]
    losses = log_partition - (targets * logits).sum(dim=1)  # [row], as targets sum to one
    return losses[has_positive].sum() / has_positive.sum().clamp_min(1)
