"""Features near given ones: how a tower learns from a teacher.

Axes: text (texts in the batch), dim (of the joint space).
"""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 - the name that every torch reader knows
from jaxtyping import Float
from torch import Tensor


def cosine_distance(
    features: Float[Tensor, "text dim"], targets: Float[Tensor, "text dim"]
) -> Float[Tensor, ""]:
    """The mean of 1 - cos(feature, target).

    As a student learns sentence embeddings in Reimers and Gurevych, arXiv 2004.09813, equation 1,
    but by the angle alone: features are compared by their cosines only. For unit vectors it is
    half of the squared error there.

    Args:
        features: need not be normalised.
        targets: need not be normalised.
    """
    return (1 - F.cosine_similarity(features, targets, dim=1)).mean()
