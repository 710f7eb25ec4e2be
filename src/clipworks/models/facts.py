"""What is known of a checkpoint, gathered from its tensors, its side files and the caller.

The tensors tell every size. They cannot tell the activation, the heads or the pooling, and a
model with the wrong one runs and is silently wrong; so these come from a file or from the
caller, and a fact that nobody gives is an error, not a default.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from torch import Tensor

from clipworks.errors import CheckpointError, SettingsError
from clipworks.models.config import (
    RESNET_STRIDE,
    Activation,
    BlockExtra,
    ClipConfig,
    Projection,
    ResNetConfig,
    TextConfig,
    TextPooling,
    TextPositions,
    VisionConfig,
    VisionPooling,
)

Tensors = Mapping[str, Tensor]
Tower = Literal["vision", "text"]

_OPTIONAL = {"end_id", "pad_id", "pool_queries", "pool_heads", "rotary_theta", "kind"}
_OF_BOTH_TOWERS = {"activation", "norm_eps"}
_QUERIES = "visual.attention_pool.0.queries"


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
        pool_heads: as in `VisionConfig.pool_heads`.
        causal: as in `TextConfig.causal`.
        text_pooling: as in `TextConfig.pooling`.
        end_id: as in `TextConfig.end_id`.
        pad_id: as in `TextConfig.pad_id`.
        text_positions: as in `TextConfig.positions`; `rotary` leaves a table in the file aside.
        rotary_theta: as in `TextConfig.rotary_theta`.
        context_length: as in `TextConfig.context_length`, which rotary positions leave open.
    """

    activation: Activation | None = None
    vision_activation: Activation | None = None
    text_activation: Activation | None = None
    norm_eps: float | None = None
    vision_heads: int | None = None
    text_heads: int | None = None
    vision_pooling: VisionPooling | None = None
    norm_pooled: bool | None = None
    pool_heads: int | None = None
    causal: bool | None = None
    text_pooling: TextPooling | None = None
    end_id: int | None = None
    pad_id: int | None = None
    text_positions: TextPositions | None = None
    rotary_theta: float | None = None
    context_length: int | None = None

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
    "text_positions": get_args(TextPositions),
}
_CONFIGS: dict[Tower, type[VisionConfig | TextConfig]] = {
    "vision": VisionConfig,
    "text": TextConfig,
}
_TOWER_HINTS = {"heads", "pooling", "positions"}


def _hints_for(missing: Mapping[Tower, Sequence[str]], facts: Facts) -> list[str]:
    """The hints that would say what is missing, and leave alone what is known."""
    one_activation = "activation" in {**facts.vision, **facts.text}
    own = _TOWER_HINTS | ({"activation"} if one_activation else set())
    hints = [
        f"{tower}_{name}" if name in own else name
        for tower, names in missing.items()
        for name in names
    ]
    return list(dict.fromkeys(hints))


@dataclass(frozen=True)
class Facts:
    """Fields of `VisionConfig` (or `ResNetConfig`) and `TextConfig` that somebody vouches for."""

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
    vision_class = ResNetConfig if _is_resnet(state) else VisionConfig
    known = Facts(_without_strangers(known.vision, vision_class), known.text)
    measured = Facts(
        _measure_resnet(state) if vision_class is ResNetConfig else _measure_vision(state),
        _measure_text(state, rotary=known.text.get("positions") == "rotary"),
    )
    _compare(measured, known)
    facts = measured | known
    if facts.vision.get("pooling") == "class_token":  # then both orders give the same numbers
        facts |= Facts({"norm_pooled": False})
    _require_all(facts, vision_class, source=source, config_file=config_file)
    try:
        return ClipConfig(
            embed_dim=_embed_dim(state),
            vision=vision_class(**facts.vision),
            text=TextConfig(**facts.text),
            scores="sigmoid" if "logit_bias" in state else "softmax",
        )
    except SettingsError as error:
        raise CheckpointError(f"{source}: {error}") from error


def _is_resnet(state: Tensors) -> bool:
    return any(name.startswith("visual.stem.") for name in state)


def _without_strangers(
    known: Mapping[str, Any], vision_class: type[VisionConfig | ResNetConfig]
) -> Mapping[str, Any]:
    """What was said of both towers is the text tower's alone where the image tower has no such."""
    names = {entry.name for entry in fields(vision_class)}
    kept = {name: fact for name, fact in known.items() if name not in _OF_BOTH_TOWERS - names}
    if strangers := sorted(kept.keys() - names):
        raise CheckpointError(
            f"{', '.join(strangers)}: stated for the image tower, but the tensors are a ResNet's, "
            "which has no such option"
        )
    return kept


def _measure_vision(state: Tensors) -> dict[str, Any]:
    width, _, patch_size, _ = _shape(state, "visual.patch_embed.weight", 4)
    class_token = "visual.class_token" in state
    return {
        "image_size": _measure_grid(state, "visual.positions", prefix=class_token) * patch_size,
        "patch_size": patch_size,
        "width": width,
        "pre_norm": "visual.ln_pre.weight" in state,
        "class_token": class_token,
        "patch_bias": "visual.patch_embed.bias" in state,
        "projection": _measure_projection(state, "visual"),
        "pool_queries": _shape(state, _QUERIES, 2)[0] if _QUERIES in state else None,
        **({"pooling": "map"} if "visual.map_pool.probe" in state else {}),
        **_measure_blocks(state, "visual"),
    }


def _measure_resnet(state: Tensors) -> dict[str, Any]:
    return {
        "image_size": _measure_grid(state, "visual.pool.positions", prefix=True) * RESNET_STRIDE,
        "width": _shape(state, "visual.stem.2.conv.weight", 4)[0],
        "layers": tuple(_count(state, rf"visual\.layer{stage}") for stage in (1, 2, 3, 4)),
    }


def _measure_grid(state: Tensors, positions: str, *, prefix: bool) -> int:
    """Places along one side of the square that the rows are for, but for one as a `prefix`."""
    rows, _ = _shape(state, positions, 2)
    side = math.isqrt(max(rows - prefix, 0))
    if side**2 != rows - prefix:
        raise CheckpointError(
            f"{positions} has {rows} rows: expected {'one, and ' * prefix}one for each patch of a "
            "square picture"
        )
    return side


def _measure_text(state: Tensors, *, rotary: bool) -> dict[str, Any]:
    vocab_size, width = _shape(state, "text.token_embed.weight", 2)
    return {
        "vocab_size": vocab_size,
        "width": width,
        "projection": _measure_projection(state, "text"),
        **({} if rotary else _measure_positions(state)),
        **_measure_blocks(state, "text"),
    }


def _measure_positions(state: Tensors) -> dict[str, Any]:
    if "text.positions" not in state:
        raise CheckpointError(
            "the weights have no text.positions. Where the text tower's positions are rotary, as "
            "TULIP's, give --hint text_positions=rotary --hint rotary_theta=10000 --hint "
            "context_length=248 (from Python CheckpointHints) with the numbers that it was trained "
            "with"
        )
    rows, _ = _shape(state, "text.positions", 2)
    return {
        "context_length": rows - ("text.class_token" in state),
        "positions": "learned",
    }


def _measure_projection(state: Tensors, tower: str) -> Projection:
    if f"{tower}.projection.weight" not in state:
        return "none"
    return "linear_bias" if f"{tower}.projection.bias" in state else "linear"


def _measure_blocks(state: Tensors, tower: str) -> dict[str, Any]:
    first = f"{tower}.blocks.0"
    signs: dict[BlockExtra, str] = {
        "attn_norm": f"{first}.attn_norm.weight",
        "head_scale": f"{first}.attn.head_scale",
        "inner_norm": f"{first}.attn.norm_z.weight",
        "mlp_norm": f"{first}.mlp.norm.weight",
        "qk_norm": f"{first}.attn.norm_q.weight",
    }
    return {
        "layers": _count(state, rf"{tower}\.blocks"),
        "mlp_width": _shape(state, f"{first}.mlp.up.weight", 2)[0],
        "layer_scale": f"{first}.attn_scale.gamma" in state,
        "block_extras": tuple(extra for extra, sign in signs.items() if sign in state),
    }


def _embed_dim(state: Tensors) -> int:
    """What the towers that have a projection say, or else the width of what pictures give."""
    for tower in ("visual", "text"):
        if f"{tower}.projection.weight" in state:
            return _shape(state, f"{tower}.projection.weight", 2)[0]
    if _QUERIES in state:
        return _shape(state, _QUERIES, 2)[1]
    return _shape(state, "visual.patch_embed.weight", 4)[0]


def _count(state: Tensors, modules: str) -> int:
    """How many numbered modules a pattern has."""
    matches = (re.match(rf"{modules}\.(\d+)\.", name) for name in state)
    return len({match[1] for match in matches if match})


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
                patch_size = sizes.get("patch_size", RESNET_STRIDE)
                claim = claim // patch_size * patch_size
            if claim != size:
                raise CheckpointError(
                    f"the configuration says {tower} {name} = {claims[name]}, but the tensors "
                    f"say {size}: it belongs to other weights"
                )


def _require_all(
    facts: Facts,
    vision_class: type[VisionConfig | ResNetConfig],
    *,
    source: str,
    config_file: str,
) -> None:
    known: dict[Tower, Mapping[str, Any]] = {"vision": facts.vision, "text": facts.text}
    configs: dict[Tower, type] = {"vision": vision_class, "text": TextConfig}
    missing: dict[Tower, list[str]] = {
        tower: [
            entry.name
            for entry in fields(config)
            if entry.name not in known[tower] and entry.name not in _OPTIONAL
        ]
        for tower, config in configs.items()
    }
    if any(missing.values()):
        names = ", ".join(_hints_for(missing, facts))
        raise CheckpointError(
            f"{source} does not say: {names}. Put its {config_file} beside it, or give it "
            "(--config), or each as a hint, such as --hint activation=quick_gelu, from Python "
            "CheckpointHints(activation='quick_gelu')"
        )
