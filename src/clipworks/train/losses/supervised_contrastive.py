"""Pictures of one group near each other, whatever their style.

Axes: image (pictures in the batch), dim (of the joint space).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch reader knows
from jaxtyping import Float, Int
from torch import Tensor

from clipworks.train.losses.info_nce import soft_cross_entropy

_HIDDEN = -1e4  # far below any logit; minus infinity would make 0 * inf in the targets


def supervised_contrastive(
    image_features: Float[Tensor, "image dim"],
    groups: Int[Tensor, "image"],
    temperature: float = 0.1,
) -> Float[Tensor, ""]:
    """Khosla et al., arXiv 2004.11362, equation 2: a picture is never its own positive.

    Args:
        image_features: need not be normalised.
        groups: pictures with the same number belong together; those alone in their group are
            negatives of the others only.
        temperature: what divides the cosines.
    """
    units = F.normalize(image_features, dim=1)
    itself = torch.eye(len(units), dtype=torch.bool, device=units.device)  # [image image]
    logits = (units @ units.T / temperature).masked_fill(itself, _HIDDEN)
    together = (groups[:, None] == groups[None, :]) & ~itself  # [image image]
    return soft_cross_entropy(logits, together.to(logits.dtype))
