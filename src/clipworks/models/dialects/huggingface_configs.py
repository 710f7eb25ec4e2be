"""What a `config.json` of transformers says of both towers.

The defaults are those that transformers takes for a field that the file leaves out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from clipworks.errors import CheckpointError
from clipworks.models.dialects.json_options import Options
from clipworks.models.facts import Facts

_ACTIVATIONS = {
    "gelu": "gelu",
    "quick_gelu": "quick_gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
}
_LEGACY_END_ID = 2  # written into old files by mistake; transformers then pools at the highest id


def state_huggingface(config: Mapping[str, Any]) -> Facts:
    """The facts of a CLIP, a MetaCLIP 2, a SigLIP or a SigLIP 2.

    Raises:
        CheckpointError: another type of model, or an option that clipworks has not.
    """
    vision, text = part_of(config, "vision"), part_of(config, "text")
    if vision.integer("num_channels", 3) != 3:
        raise CheckpointError("vision_config.num_channels: only pictures of 3 are supported")
    model_type = Options("config.json", config).word("model_type", "clip")
    match model_type:
        case "clip" | "metaclip_2":
            # MetaCLIP 2 has CLIP's towers, and means an end token of 2.
            legacy = model_type == "clip" and text.integer("eos_token_id", 49407) == _LEGACY_END_ID
            return Facts(_state_clip_vision(vision), _state_clip_text(text, legacy=legacy))
        case "siglip":
            pictures = {"image_size": vision.square("image_size", 224), "naflex": False}
        case "siglip2":
            pictures = {"image_size": _naflex_image_size(vision), "naflex": True}
        case _:
            raise CheckpointError(
                f"a Hugging Face model of type {model_type!r} is not supported yet"
            )
    return Facts({**_state_siglip_vision(vision), **pictures}, _state_siglip_text(text))


def part_of(config: Mapping[str, Any], tower: str) -> Options:
    """A tower's part of a config.json.

    Where an old file has it twice, transformers takes the second.
    """
    whole = Options("config.json", config)
    twice = f"{tower}_config_dict"
    return whole.part(twice if whole.has(twice) else f"{tower}_config")


def _state_clip_vision(vision: Options) -> dict[str, Any]:
    return {
        "image_size": vision.square("image_size", 224),
        "patch_size": vision.square("patch_size", 32),
        "width": vision.integer("hidden_size", 768),
        "heads": vision.integer("num_attention_heads", 12),
        "mlp_width": vision.integer("intermediate_size", 3072),
        "pre_norm": True,
        "pooling": "class_token",
        "class_token": True,
        "projection": "linear",
        "naflex": False,
        **_state_blocks(vision, activation="quick_gelu", norm_eps=1e-5),
    }


def _state_clip_text(text: Options, *, legacy: bool) -> dict[str, Any]:
    return {
        "context_length": text.integer("max_position_embeddings", 77),
        "vocab_size": text.integer("vocab_size", 49408),
        "width": text.integer("hidden_size", 512),
        "heads": text.integer("num_attention_heads", 8),
        "mlp_width": text.integer("intermediate_size", 2048),
        "causal": True,
        "pooling": "argmax" if legacy else "end_token",
        "end_id": None if legacy else text.integer("eos_token_id", 49407),
        "pad_id": None if legacy else text.integer("pad_token_id", 1),
        "projection": "linear",
        **_state_blocks(text, activation="quick_gelu", norm_eps=1e-5),
    }


def _state_siglip_vision(vision: Options) -> dict[str, Any]:
    if vision.has("vision_use_head") and not vision.flag("vision_use_head"):
        raise CheckpointError(
            "vision_config.vision_use_head = False: an image tower that is not "
            "pooled gives no vector"
        )
    return {
        "patch_size": vision.square("patch_size", 16),
        "width": vision.integer("hidden_size", 768),
        "heads": vision.integer("num_attention_heads", 12),
        "mlp_width": vision.integer("intermediate_size", 3072),
        "pre_norm": False,
        "pooling": "map",
        "norm_pooled": False,
        "class_token": False,
        "patch_bias": True,
        "projection": "none",
        **_state_blocks(vision, activation="gelu_pytorch_tanh", norm_eps=1e-6),
    }


def _naflex_image_size(vision: Options) -> int:
    """The square whose patches are those of the table of positions."""
    num_patches = vision.integer("num_patches", 256)
    side = math.isqrt(num_patches)
    if side**2 != num_patches:
        raise CheckpointError(f"vision_config.num_patches = {num_patches}: expected a square")
    return side * vision.square("patch_size", 16)


def _state_siglip_text(text: Options) -> dict[str, Any]:
    # The default of pad_token_id is not trusted: published SigLIP 2 files leave it out, and their
    # tokenizers pad with another token.
    pad_id = text.integer("pad_token_id", 1) if text.has("pad_token_id") else None
    return {
        "context_length": text.integer("max_position_embeddings", 64),
        "vocab_size": text.integer("vocab_size", 32000),
        "width": text.integer("hidden_size", 768),
        "heads": text.integer("num_attention_heads", 12),
        "mlp_width": text.integer("intermediate_size", 3072),
        "causal": False,
        "pooling": "last",
        "pad_id": pad_id,
        "projection": "linear_bias",
        **_state_blocks(text, activation="gelu_pytorch_tanh", norm_eps=1e-6),
    }


def _state_blocks(options: Options, *, activation: str, norm_eps: float) -> dict[str, Any]:
    return {
        "layers": options.integer("num_hidden_layers", 12),
        "activation": options.choice("hidden_act", activation, _ACTIVATIONS),
        "norm_eps": options.positive("layer_norm_eps", norm_eps),
        "layer_scale": False,
    }
