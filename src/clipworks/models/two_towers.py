"""Two towers, whoever built them: what a bundle is made of.

Axes: image, text (rows of a batch), context (tokens), dim (width of the joint space).
"""

from __future__ import annotations

from typing import Any, Protocol, Self

import torch
from torch import Tensor


class TwoTowers(Protocol):
    """A torch module with an image tower and a text tower: our `Clip`, or open_clip's model.

    What the towers give need not have unit length.
    """

    def encode_image(self, pixels: Tensor, /) -> Tensor:
        """From [image 3 h w] to [image dim]."""
        ...

    def encode_text(self, tokens: Tensor, /) -> Tensor:
        """From [text context] to [text dim]."""
        ...

    def eval(self) -> Self:
        """As `nn.Module.eval`."""
        ...

    def to(self, dtype: torch.dtype, /) -> Self:
        """As `nn.Module.to`."""
        ...

    def float(self) -> Self:
        """As `nn.Module.float`."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """As `nn.Module.state_dict`."""
        ...
