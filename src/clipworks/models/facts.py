"""What is known of a checkpoint, gathered from its tensors, its side files and the caller.

The tensors tell every size. They cannot tell the activation, the heads or the pooling, and a
model with the wrong one runs and is silently wrong; so these come from a file or from the
caller, and a fact that nobody gives is an error, not a default.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from torch import Tensor

from clipworks.errors import CheckpointError, SettingsError
from clipworks.models.config import (
    Activation,
    ClipConfig,
    Projection,
    TextConfig,
    TextPooling,
    VisionConfig,
    VisionPooling,
)

Tensors = Mapping[str, Tensor]
Tower = Literal["vision", "text"]

_OPTIONAL = {"end_id", "pad_id"}


@dataclass(frozen=True, kw_only=True)
class CheckpointHints:
    """What the caller knows of a checkpoint; it goes before what its files say.

    Attributes:
        activation: of both towers, where the next two do not differ from it.
        vision_activation: of the image tower.
        text_activation: of the text tower.
        norm_eps: of both towers.
        vision_heads: attention heads in a block of the image tower.
        text_heads: attention heads in a block of the text tower.
        vision_pooling: as in `VisionConfig.pooling`.
        norm_pooled: as in `VisionConfig.norm_pooled`.
        causal: as in `TextConfig.causal`.
        text_pooling: as in `TextConfig.pooling`.
        end_id: as in `TextConfig.end_id`.
        pad_id: as in `TextConfig.pad_id`.
    """

    activation: Activation | None = None
    vision_activation: Activation | None = None
    text_activation: Activation | None = None
    norm_eps: float | None = None
    vision_heads: int | None = None
    text_heads: int | None = None
    vision_pooling: VisionPooling | None = None
    norm_pooled: bool | None = None
    causal: bool | None = None
    text_pooling: TextPooling | None = None
    end_id: int | None = None
    pad_id: int | None = None

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value is not None and value not in choices:
                raise SettingsError(f"{name}={value!r}: expected one of {', '.join(choices)}")

    def facts(self) -> Facts:
        """The same, tower by tower."""
        known: dict[Tower, dict[str, Any]] = {"vision": {}, "text": {}}
        for tower, values in known.items():
            for name in (entry.name for entry in fields(_CONFIGS[tower])):
                value = getattr(self, f"{tower}_{name}", None)
                value = getattr(self, name, None) if value is None else value
                if value is not None:
                    values[name] = value
        return Facts(**known)


_CHOICES = {
    "activation": get_args(Activation),
    "vision_activation": get_args(Activation),
    "text_activation": get_args(Activation),
    "vision_pooling": get_args(VisionPooling),
    "text_pooling": get_args(TextPooling),
}
_CONFIGS: dict[Tower, type[VisionConfig | TextConfig]] = {
    "vision": VisionConfig,
    "text": TextConfig,
}
_TOWER_HINTS = {"heads", "pooling"}


def _hints_for(missing: Mapping[Tower, Set[str]]) -> list[str]:
    """The hints that would say what is missing."""
    hints = []
    for tower, names in missing.items():
        for name in (entry.name for entry in fields(_CONFIGS[tower]) if entry.name in names):
            own = name in _TOWER_HINTS
            if name == "activation":
                own = not all(name in others for others in missing.values())
            hints.append(f"{tower}_{name}" if own else name)
    return list(dict.fromkeys(hints))


@dataclass(frozen=True)
class Facts:
    """Fields of `VisionConfig` and `TextConfig` that somebody vouches for."""

    vision: Mapping[str, Any] = field(default_factory=dict)
    text: Mapping[str, Any] = field(default_factory=dict)

    def __or__(self, stronger: Facts) -> Facts:
        return Facts({**self.vision, **stronger.vision}, {**self.text, **stronger.text})


def configure(state: Tensors, known: Facts, *, source: str, config_file: str) -> ClipConfig:
    """Join the sizes of tensors, in clipworks's names, with what else is known.

    Args:
        state: the tensors.
        known: what files and the caller say; their sizes must be those of the tensors.
        source: the checkpoint's name, for messages.
        config_file: the side file that would say what is missing, for messages.

    Raises:
        CheckpointError: facts are missing, contradict the tensors, or are no model.
    """
    measured = Facts(_measure_vision(state), _measure_text(state))
    _compare(measured, known)
    facts = measured | known
    if facts.vision.get("pooling") == "class_token":  # then both orders give the same numbers
        facts |= Facts({"norm_pooled": False})
    _require_all(facts, source=source, config_file=config_file)
    try:
        return ClipConfig(
            embed_dim=_embed_dim(state),
            vision=VisionConfig(**facts.vision),
            text=TextConfig(**facts.text),
            scores="sigmoid" if "logit_bias" in state else "softmax",
        )
    except SettingsError as error:
        raise CheckpointError(f"{source}: {error}") from error


def _measure_vision(state: Tensors) -> dict[str, Any]:
    width, _, patch_size, _ = _shape(state, "visual.patch_embed.weight", 4)
    positions, _ = _shape(state, "visual.positions", 2)
    class_token = "visual.class_token" in state
    num_patches = max(positions - class_token, 0)
    grid = math.isqrt(num_patches)
    if grid**2 != num_patches:
        raise CheckpointError(
            f"visual.positions has {positions} rows: expected {'one, and ' * class_token}one for "
            "each patch of a square picture"
        )
    pooling = {"pooling": "map"} if "visual.map_pool.probe" in state else {}
    return {
        "image_size": grid * patch_size,
        "patch_size": patch_size,
        "width": width,
        "pre_norm": "visual.ln_pre.weight" in state,
        "class_token": class_token,
        "patch_bias": "visual.patch_embed.bias" in state,
        "projection": _measure_projection(state, "visual"),
        **pooling,
        **_measure_blocks(state, "visual"),
    }


def _measure_text(state: Tensors) -> dict[str, Any]:
    vocab_size, width = _shape(state, "text.token_embed.weight", 2)
    return {
        "context_length": _shape(state, "text.positions", 2)[0],
        "vocab_size": vocab_size,
        "width": width,
        "projection": _measure_projection(state, "text"),
        **_measure_blocks(state, "text"),
    }


def _measure_blocks(state: Tensors, tower: str) -> dict[str, Any]:
    matches = (re.match(rf"{tower}\.blocks\.(\d+)\.", name) for name in state)
    return {
        "layers": len({match[1] for match in matches if match}),
        "mlp_width": _shape(state, f"{tower}.blocks.0.mlp.up.weight", 2)[0],
        "layer_scale": f"{tower}.blocks.0.attn_scale.gamma" in state,
    }


def _measure_projection(state: Tensors, tower: str) -> Projection:
    if f"{tower}.projection.weight" not in state:
        return "none"
    return "linear_bias" if f"{tower}.projection.bias" in state else "linear"


def _embed_dim(state: Tensors) -> int:
    """What the towers that have a projection say, or else the image tower's width."""
    for tower in ("visual", "text"):
        if f"{tower}.projection.weight" in state:
            return _shape(state, f"{tower}.projection.weight", 2)[0]
    return _shape(state, "visual.patch_embed.weight", 4)[0]


def _shape(state: Tensors, name: str, rank: int) -> tuple[int, ...]:
    if name not in state:
        raise CheckpointError(f"the weights have no {name}: not a CLIP model of a known kind")
    shape = tuple(state[name].shape)
    if len(shape) != rank:
        raise CheckpointError(f"{name} has the shape {list(shape)}: expected {rank} axes")
    return shape


def _compare(measured: Facts, stated: Facts) -> None:
    """Refuse a side file that belongs to other weights."""
    for tower, sizes, claims in (
        ("vision", measured.vision, stated.vision),
        ("text", measured.text, stated.text),
    ):
        for name, size in sizes.items():
            claim = claims.get(name, size)
            if name == "image_size":  # a border narrower than a patch leaves no trace
                claim = claim // sizes["patch_size"] * sizes["patch_size"]
            if claim != size:
                raise CheckpointError(
                    f"the configuration says {tower} {name} = {claims[name]}, but the tensors "
                    f"say {size}: it belongs to other weights"
                )


def _require_all(facts: Facts, *, source: str, config_file: str) -> None:
    known: dict[Tower, Mapping[str, Any]] = {"vision": facts.vision, "text": facts.text}
    missing: dict[Tower, Set[str]] = {
        tower: {entry.name for entry in fields(config)} - known[tower].keys() - _OPTIONAL
        for tower, config in _CONFIGS.items()
    }
    if any(missing.values()):
        names = ", ".join(_hints_for(missing))
        raise CheckpointError(
            f"{source} does not say: {names}. Put its {config_file} beside it, or give them as "
            "hints, such as CheckpointHints(activation='quick_gelu')"
        )
