"""Both towers forward and backward, the batch shared out among threads.

Axes: image (pictures in the batch), text (texts in the batch), h and w (pixels), context (token
positions), kept (patches that stay), dim (of the joint space).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from clipworks.models.clip import Clip
from clipworks.train.batches import Batch, TextTargets
from clipworks.train.config import Precision
from clipworks.train.precision import casting, fast_attention

Gradients = Sequence[Tensor | None]


@dataclass(frozen=True)
class Features:
    """What the loss sees: leaves of its graph, so that it can be differentiated on its own.

    Where the image tower is locked, its features are constants.

    Attributes:
        images: not normalised; None where a batch has texts alone.
        texts: not normalised.
    """

    images: Float[Tensor, "image dim"] | None
    texts: Float[Tensor, "text dim"]


@final
class TowerRunner:
    """Runs a model on batches: features first, then, from their gradients, those of the weights.

    Cutting the graph at the features (Gao et al., arXiv 2101.06983, without their recomputation)
    lets each thread go through its share of the batch alone, and the threads meet only twice a
    step. Shares are added up in a fixed order: the same number of workers gives the same numbers.

    Args:
        model: gets the gradients.
        precision: of the towers.
        workers: threads, each with an equal share of the pictures and of the texts.
    """

    def __init__(self, model: Clip, precision: Precision, workers: int) -> None:
        self._model = model
        self._precision: Precision = precision
        self._workers = workers
        self._pool = ThreadPoolExecutor(workers)
        self._parts: list[tuple[Tensor, ...]] = []
        towers = (*model.visual.parameters(), *model.text.parameters())
        self._weights = [weight for weight in towers if weight.requires_grad]

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def forward(
        self, batch: Batch | TextTargets, kept: Int[Tensor, "image kept"] | None
    ) -> Features:
        """The features of a batch; those of pictures that it brings stay as they are."""
        if isinstance(batch, TextTargets):
            return Features(None, self._forward_texts(batch.parts))
        if batch.pixels is None:
            texts = self._forward_texts(batch.tokens.tensor_split(self._workers))
            return Features(batch.image_features, texts)
        shares = zip(
            batch.pixels.tensor_split(self._workers),
            batch.tokens.tensor_split(self._workers),
            [None] * self._workers if kept is None else kept.tensor_split(self._workers),
            strict=True,
        )
        with fast_attention(batch.pixels.device):
            self._parts = list(self._pool.map(lambda share: self._encode(*share), shares))
        images = torch.cat([part[0].detach() for part in self._parts])  # [image dim]
        texts = torch.cat([part[1].detach() for part in self._parts])  # [text dim]
        return Features(images.requires_grad_(), texts.requires_grad_())

    def backward(self, features: Features) -> None:
        """Add to the weights' gradients what the loss left at the features of `forward`."""
        sides = [side for side in (features.images, features.texts) if side is not None]
        outer = [side.grad for side in sides if side.requires_grad]
        shares = []
        for gradient, side in zip(outer, zip(*self._parts, strict=True), strict=True):
            assert gradient is not None
            shares.append(gradient.split([len(part) for part in side]))
        found = self._pool.map(self._differentiate, self._parts, zip(*shares, strict=True))
        for gradients in found:
            _accumulate(self._weights, gradients)
        self._parts = []

    def _forward_texts(
        self, parts: Sequence[Int[Tensor, "part context"]]
    ) -> Float[Tensor, "text dim"]:
        with fast_attention(parts[0].device):
            self._parts = list(self._pool.map(self._encode_texts, parts))
        texts = torch.cat([part[0].detach() for part in self._parts])  # [text dim]
        return texts.requires_grad_()

    def _encode_texts(
        self, tokens: Int[Tensor, "text context"]
    ) -> tuple[Float[Tensor, "text dim"]]:
        with casting(self._precision, tokens.device):
            texts = self._model.encode_text(tokens)
        return (texts.to(self._model.logit_scale.dtype),)

    def _encode(
        self,
        pixels: Float[Tensor, "image 3 h w"],
        tokens: Int[Tensor, "text context"],
        kept: Int[Tensor, "image kept"] | None,
    ) -> tuple[Float[Tensor, "image dim"], Float[Tensor, "text dim"]]:
        with casting(self._precision, pixels.device):
            images, texts = self._model(pixels, tokens, kept)
        dtype = self._model.logit_scale.dtype  # the loss is no place for bfloat16
        return images.to(dtype), texts.to(dtype)

    def _differentiate(
        self, part: tuple[Tensor, ...], outer_gradients: tuple[Tensor, ...]
    ) -> Gradients:
        return torch.autograd.grad(part, self._weights, outer_gradients, allow_unused=True)


def _accumulate(weights: Sequence[nn.Parameter], gradients: Gradients) -> None:
    for weight, gradient in zip(weights, gradients, strict=True):
        if gradient is None:
            continue
        if weight.grad is None:
            weight.grad = gradient
        else:
            weight.grad += gradient
