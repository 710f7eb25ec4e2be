"""Tiny configurations and models with random weights, biases included."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from clipworks.models.clip import Clip
from clipworks.models.config import ClipConfig, ResNetConfig, TextConfig, VisionConfig

BLOCKS: dict[str, Any] = {
    "width": 16,
    "layers": 2,
    "heads": 2,
    "mlp_width": 24,
    "activation": "gelu",
}


def tiny_config(
    *, vision: dict[str, Any] | None = None, text: dict[str, Any] | None = None, **changes: Any
) -> ClipConfig:
    return ClipConfig(
        **{
            "embed_dim": 12,
            "vision": VisionConfig(
                **{"image_size": 16, "patch_size": 4, **BLOCKS, **(vision or {})}
            ),
            "text": TextConfig(**{"context_length": 8, "vocab_size": 50, **BLOCKS, **(text or {})}),
            **changes,
        }
    )


def tiny_resnet_config(**changes: Any) -> ClipConfig:
    vision = ResNetConfig(
        **{"image_size": 64, "width": 4, "layers": (1, 2, 1, 1), "heads": 4, **changes}
    )
    return replace(tiny_config(), vision=vision)


def tiny_model(config: ClipConfig | None = None, *, seed: int = 0) -> Clip:
    generator = torch.Generator().manual_seed(seed)
    model = Clip(config or tiny_config()).eval()
    model.init_weights(generator)
    with torch.no_grad():
        for parameter in model.parameters():  # no bias may be 0, or its loss goes unseen
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model


def some_pixels(count: int = 3, size: int = 16, *, seed: int = 1) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def some_tokens(count: int = 3, context: int = 8, *, seed: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(1, 49, (count, context), generator=generator)


def siglip_config(**vision: Any) -> ClipConfig:
    """As SigLIP: no class token, pooled by attention, no projection of pictures."""
    towers = {
        "vision": {
            "class_token": False,
            "pooling": "map",
            "patch_bias": True,
            "pre_norm": False,
            "projection": "none",
            "norm_eps": 1e-6,
            **vision,
        },
        "text": {"causal": False, "pooling": "last", "projection": "linear_bias"},
    }
    return tiny_config(embed_dim=16, scores="sigmoid", **towers)


def naflex_config() -> ClipConfig:
    return siglip_config(naflex=True, position_resize="bilinear_antialias")
