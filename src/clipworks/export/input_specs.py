"""What a checkpoint's side files say of pictures, in clipworks's words.

Each library writes its preprocessing down in its own way; what a file leaves out has that
library's default, and what no file says is asked for, not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from clipworks.errors import CheckpointError
from clipworks.inputs.library_settings import (
    read_open_clip_settings,
    read_transformers_settings,
    sides_of,
    transformers_defaults,
)
from clipworks.inputs.specs import ImageSpec
from clipworks.models.checkpoints import Checkpoint

Preset = Literal["openai", "imagenet", "siglip"]

_PRESETS: dict[str, dict[str, Any]] = {
    "openai": {},
    "imagenet": {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    "siglip": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "resize": "squash"},
}


def image_spec_of(
    checkpoint: Checkpoint, config: Mapping[str, Any] | None, preset: str | None
) -> ImageSpec:
    """How the checkpoint wants its pictures.

    Args:
        checkpoint: what was loaded.
        config: the configuration that the caller gave, if any.
        preset: `openai`, `imagenet` or `siglip`, which goes before what files say.

    Raises:
        CheckpointError: nobody says, or it is something that clipworks cannot do.
    """
    size = checkpoint.config.vision.image_size
    if preset is not None:
        if preset not in _PRESETS:
            raise CheckpointError(f"preset {preset!r}: expected {', '.join(get_args(Preset))}")
        return ImageSpec(height=size, width=size, **_PRESETS[preset])
    stated = (config or {}).get("preprocess_cfg") or checkpoint.preprocessing
    match checkpoint.dialect:
        case "openai":
            return ImageSpec(height=size, width=size)
        case "open_clip" if stated is not None or config is not None:
            return _from_open_clip(stated or {}, size)
        case "huggingface" if stated is not None:
            squashed = _squash_naflex(stated, size) if checkpoint.config.naflex else stated
            return _from_huggingface(squashed, size)
    raise CheckpointError(
        f"{checkpoint.weights.name} does not say how pictures are prepared: put the model's "
        f"configuration beside it, or choose --preset {', '.join(get_args(Preset))}"
    )


def _from_open_clip(stated: Mapping[str, Any], size: int) -> ImageSpec:
    """open_clip's `preprocess_cfg`, with the defaults of its PreprocessCfg."""
    spec = read_open_clip_settings(stated, ImageSpec(height=size, width=size))
    _check_sides((spec.height, spec.width), size)
    return spec


def _from_huggingface(stated: Mapping[str, Any], size: int) -> ImageSpec:
    """An image processor's file, with the defaults of CLIPImageProcessor."""
    whole = {"size": 224, **stated}
    spec = read_transformers_settings(whole, transformers_defaults(size))
    for sides in (sides_of(whole["size"]), (spec.height, spec.width)):
        _check_sides(sides, size)
    return spec


def _squash_naflex(stated: Mapping[str, Any], size: int) -> dict[str, Any]:
    """The settings of SigLIP 2's processor for pictures made square."""
    square = {"height": size, "width": size}
    return {"image_processor_type": "Siglip2ImageProcessor", **stated, "size": square}


def _check_sides(sides: tuple[int, int], size: int) -> None:
    if sides != (size, size):
        raise CheckpointError(
            f"pictures are prepared as {list(sides)}, but the image tower takes {size} x {size}"
        )
