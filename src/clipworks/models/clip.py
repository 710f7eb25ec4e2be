"""A CLIP-like model: two towers, one space.

Axes: image (pictures in a batch), text (texts in a batch), context (token positions), h and w
(pixels), kept (patches that survive patch dropout), dim (of the joint space).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch reader knows
from jaxtyping import Float, Int
from torch import Tensor, nn

from clipworks.errors import InputError, SettingsError
from clipworks.models.config import ClipConfig, ResNetConfig
from clipworks.models.initialization import init_scores, init_tower
from clipworks.models.naflex import PatchBatch
from clipworks.models.resnet import ResNetTower
from clipworks.models.text import TextTower
from clipworks.models.vision import VisionTower


class Clip(nn.Module):
    """Pictures and texts into one space (Radford et al., arXiv 2103.00020).

    Attributes:
        config: its shape.
        visual: the image tower.
        text: the text tower.
        logit_scale: the natural logarithm of what multiplies a cosine.
        logit_bias: what is added to the product, or None.
    """

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.config = config
        self.visual = (
            ResNetTower(config.vision, config.embed_dim)
            if isinstance(config.vision, ResNetConfig)
            else VisionTower(config.vision, config.embed_dim)
        )
        self.text = TextTower(config.text, config.embed_dim)
        self.logit_scale = nn.Parameter(torch.zeros(()))
        self.logit_bias = nn.Parameter(torch.zeros(())) if config.scores == "sigmoid" else None

    def forward(
        self,
        pixels: Float[Tensor, "image 3 h w"],
        tokens: Int[Tensor, "text context"],
        kept_patches: Int[Tensor, "image kept"] | None = None,
    ) -> tuple[Float[Tensor, "image dim"], Float[Tensor, "text dim"]]:
        """The features of both, not normalised."""
        return self.encode_image(pixels, kept_patches), self.encode_text(tokens)

    def encode_image(
        self,
        pixels: Float[Tensor, "image 3 h w"],
        kept_patches: Int[Tensor, "image kept"] | None = None,
    ) -> Float[Tensor, "image dim"]:
        """Features, not normalised; `VisionTower.forward` says more.

        Raises:
            SettingsError: patches are to be dropped, but a ResNet has none.
        """
        if kept_patches is None:
            return self.visual(pixels)
        if isinstance(self.visual, ResNetTower):
            raise SettingsError("a ResNet image tower has no patches to drop")
        return self.visual(pixels, kept_patches)

    def encode_patches(self, batch: PatchBatch) -> Float[Tensor, "image dim"]:
        """Features, not normalised; `VisionTower.forward_patches` says more.

        Raises:
            InputError: patches of another size, or no NaFlex model.
        """
        if isinstance(self.visual, ResNetTower):
            raise InputError("this model takes square pictures only: it is no NaFlex model")
        return self.visual.forward_patches(batch)

    def encode_text(self, tokens: Int[Tensor, "text context"]) -> Float[Tensor, "text dim"]:
        """Features, not normalised; `TextTower.forward` says more."""
        return self.text(tokens)

    def logits(
        self,
        image_features: Float[Tensor, "image dim"],
        text_features: Float[Tensor, "text dim"],
    ) -> Float[Tensor, "image text"]:
        """Cosines, times the scale, plus the bias; features need not be normalised."""
        images = F.normalize(image_features, dim=1)
        texts = F.normalize(text_features, dim=1)
        logits = self.logit_scale.exp() * images @ texts.T  # [image text]
        return logits if self.logit_bias is None else logits + self.logit_bias

    def init_weights(self, generator: torch.Generator) -> None:
        """Fill every parameter, for training from scratch.

        Args:
            generator: the only source of randomness; on the parameters' device.
        """
        init_tower(self.visual, generator)
        init_tower(self.text, generator)
        init_scores(self.logit_scale, self.logit_bias)
