"""What a model is, as frozen facts: its sizes, and whatever its weights alone cannot say."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

from clipworks.errors import SettingsError

Activation = Literal["gelu", "quick_gelu", "gelu_tanh"]
VisionPooling = Literal["class_token", "patch_mean", "map", "attention", "attention_cascade"]
PositionResize = Literal["bicubic", "bicubic_antialias", "bilinear_antialias"]
TextPooling = Literal["argmax", "end_token", "last", "first", "class_token"]
TextPositions = Literal["learned", "rotary"]
Projection = Literal["none", "linear", "linear_bias"]
Scores = Literal["softmax", "sigmoid"]
BlockExtra = Literal["attn_norm", "head_scale", "inner_norm", "mlp_norm", "qk_norm"]
"""What a transformer block may have besides the usual.

    attn_norm: a LayerNorm on what attention writes into the residual stream, and `head_scale`: a
        learnt factor for each head, and `mlp_norm`: a LayerNorm on the MLP's hidden units (Shleifer
        et al., arXiv 2110.09456, section 2).
    inner_norm: a LayerNorm on the heads' joint output, before its projection (Wang et al., arXiv
        2210.06423, section 2.1).
    qk_norm: a LayerNorm on the queries and one on the keys of each head (Dehghani et al., arXiv
        2302.05442, section 2).
"""

RESNET_STRIDE = 32
"""Pixels of a picture for one place of a ResNet's last grid."""


@dataclass(frozen=True, kw_only=True)
class VisionConfig:
    """A vision transformer.

    Attributes:
        image_size: pixels, height and width of the input.
        patch_size: pixels, height and width of a patch.
        width: of the residual stream.
        layers: number of blocks.
        heads: attention heads in a block; they share `width` equally.
        mlp_width: hidden units in a block's MLP.
        activation: of the MLP; `gelu` is the exact one, `quick_gelu` is x * sigmoid(1.702 x).
        norm_eps: of every LayerNorm.
        pre_norm: whether a LayerNorm stands between the embedding and the first block.
        pooling: what becomes the picture's vector: the class token, the mean of the patches, what a
            learnt query finds among the tokens (`map`, multi-head attention pooling, as SigLIP has
            it), the first of several learnt queries' answers (`attention`, as CoCa has it), or what
            one more query draws from all of those answers (`attention_cascade`).
        norm_pooled: whether the last LayerNorm works on what was pooled, not on every token.
        pool_queries: learnt queries of CoCa's pooling.
        pool_heads: attention heads of CoCa's pooling; they share `embed_dim` equally.
        layer_scale: whether each branch of a block is scaled, channel by channel.
        block_extras: what else the blocks have, in alphabetical order.
        class_token: whether a learnt token stands before the patches.
        patch_bias: whether the patch embedding adds a bias.
        projection: what takes the pooled vector into the joint space.
        position_resize: how the grid of positions is stretched to pictures of another size.
        naflex: whether pictures of any aspect can be taken as patches (`forward_patches`).
    """

    image_size: int
    patch_size: int
    width: int
    layers: int
    heads: int
    mlp_width: int
    activation: Activation
    norm_eps: float = 1e-5
    pre_norm: bool = True
    pooling: VisionPooling = "class_token"
    norm_pooled: bool = False
    pool_queries: int | None = None
    pool_heads: int | None = None
    layer_scale: bool = False
    block_extras: tuple[BlockExtra, ...] = ()
    class_token: bool = True
    patch_bias: bool = False
    projection: Projection = "linear"
    position_resize: PositionResize = "bicubic_antialias"
    naflex: bool = False

    def __post_init__(self) -> None:
        _check_types(self)
        _check_heads("vision", self.width, self.heads)
        if self.pooling == "class_token" and not self.class_token:
            raise SettingsError("pooling 'class_token' needs a class token")
        if self.pools_into_space and not (self.pool_queries and self.pool_heads):
            raise SettingsError(f"pooling {self.pooling!r} needs pool_queries and pool_heads")
        if self.naflex and (self.class_token or self.pooling != "map" or self.norm_pooled):
            raise SettingsError(
                "naflex needs pooling 'map' after the last norm, and no class token"
            )
        if self.image_size < self.patch_size:
            raise SettingsError(
                f"a picture of {self.image_size} pixels has no patch of {self.patch_size} pixels"
            )

    @property
    def num_patches(self) -> int:
        """Patches in a picture; a border narrower than a patch is left out."""
        return (self.image_size // self.patch_size) ** 2

    @property
    def num_prefix(self) -> int:
        """Tokens before the patches: the class token, or none."""
        return int(self.class_token)

    @property
    def pools_into_space(self) -> bool:
        """Whether what is pooled has the joint space's width, as CoCa's queries have it."""
        return self.pooling in ("attention", "attention_cascade")

    def pooled_width(self, embed_dim: int) -> int:
        """Numbers of a picture's vector before the projection, in a space of `embed_dim`."""
        return embed_dim if self.pools_into_space else self.width


@dataclass(frozen=True, kw_only=True)
class ResNetConfig:
    """A residual network as CLIP has it: ReLU, batch normalisation, pooled by attention.

    Attributes:
        image_size: pixels, height and width of the input; a multiple of 32.
        width: channels after the stem; the last grid has 32 times as many.
        layers: number of blocks in each of the four stages.
        heads: attention heads of the pooling; they share the last grid's channels equally.
        kind: tells this configuration from `VisionConfig` in a file.
    """

    image_size: int
    width: int
    layers: tuple[int, ...]
    heads: int
    kind: Literal["resnet"] = "resnet"

    def __post_init__(self) -> None:
        _check_types(self)
        _check_heads("vision", self.feature_width, self.heads)
        if len(self.layers) != 4 or min(self.layers) < 1:
            raise SettingsError(f"layers={self.layers!r}: expected four numbers above 0")
        if self.width < 2 or self.width % 2:
            raise SettingsError(f"width={self.width}: expected an even number")
        if self.image_size < 1 or self.image_size % RESNET_STRIDE:
            raise SettingsError(
                f"image_size={self.image_size}: a ResNet takes a multiple of {RESNET_STRIDE} pixels"
            )

    @property
    def feature_width(self) -> int:
        """Channels of the last grid."""
        return 32 * self.width

    @property
    def num_places(self) -> int:
        """Places of the last grid."""
        return (self.image_size // RESNET_STRIDE) ** 2


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """A text transformer.

    Attributes:
        context_length: tokens, at most, the end token included.
        vocab_size: number of token ids.
        width: of the residual stream.
        layers: number of blocks.
        heads: attention heads in a block; they share `width` equally.
        mlp_width: hidden units in a block's MLP.
        activation: of the MLP; `gelu` is the exact one, `quick_gelu` is x * sigmoid(1.702 x).
        norm_eps: of every LayerNorm.
        causal: whether a token attends only to itself and to those before it.
        pooling: which token becomes the text's vector: that with the highest id (`argmax`), the
            first that is `end_id` (`end_token`), the `last` or the `first` of the context, or a
            learnt token that follows the context (`class_token`).
        end_id: the end token; needed by `end_token`.
        pad_id: fills the context after the end token, where known; needed by `class_token`, which
            does not see it.
        projection: what takes the pooled vector into the joint space.
        layer_scale: whether each branch of a block is scaled, channel by channel.
        block_extras: what else the blocks have, in alphabetical order.
        positions: a learnt vector for each, or queries and keys rotated by it (`rotary`).
        rotary_theta: base of the rotations' periods; needed by `rotary`.
    """

    context_length: int
    vocab_size: int
    width: int
    layers: int
    heads: int
    mlp_width: int
    activation: Activation
    norm_eps: float = 1e-5
    causal: bool = True
    pooling: TextPooling = "argmax"
    end_id: int | None = None
    pad_id: int | None = None
    projection: Projection = "linear"
    layer_scale: bool = False
    block_extras: tuple[BlockExtra, ...] = ()
    positions: TextPositions = "learned"
    rotary_theta: float | None = None

    def __post_init__(self) -> None:
        _check_types(self)
        _check_heads("text", self.width, self.heads)
        if self.pooling == "end_token" and self.end_id is None:
            raise SettingsError("pooling 'end_token' needs end_id, the id of the end token")
        if self.pooling == "class_token" and self.pad_id is None:
            raise SettingsError("pooling 'class_token' needs pad_id, the id of the padding")
        if self.positions == "rotary":
            self._check_rotary()

    def _check_rotary(self) -> None:
        if self.rotary_theta is None or not self.rotary_theta > 0:
            raise SettingsError(
                f"rotary_theta={self.rotary_theta!r}: positions 'rotary' need a number above 0"
            )
        if self.width // self.heads % 2:
            raise SettingsError(
                f"heads of {self.width // self.heads} channels cannot be rotated in pairs"
            )

    @property
    def num_positions(self) -> int:
        """Tokens that the blocks see: the context and, where there is one, the class token."""
        return self.context_length + (self.pooling == "class_token")

    @property
    def ignores_padding(self) -> bool:
        """Whether tokens behind the pooled one change nothing: texts may then be cut there."""
        return self.causal and self.pooling in ("argmax", "end_token")


@dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """Two towers into one space.

    Attributes:
        embed_dim: width of the joint space.
        vision: the image tower.
        text: the text tower.
        scores: what makes probabilities of the logits; `sigmoid` models have a logit bias.
    """

    embed_dim: int
    vision: VisionConfig | ResNetConfig
    text: TextConfig
    scores: Scores = "softmax"

    def __post_init__(self) -> None:
        _check_types(self)
        pooled = [("text", self.text.projection, self.text.width)]
        if isinstance(self.vision, VisionConfig):
            if self.vision.pool_heads:
                _check_heads("attention pooling", self.embed_dim, self.vision.pool_heads)
            width = self.vision.pooled_width(self.embed_dim)
            pooled.append(("vision", self.vision.projection, width))
        for tower, projection, width in pooled:
            if projection == "none" and width != self.embed_dim:
                raise SettingsError(
                    f"a {tower} tower without projection gives {width} numbers, "
                    f"but the joint space has {self.embed_dim}"
                )

    @property
    def naflex(self) -> bool:
        """Whether pictures of any aspect can be taken as patches."""
        return isinstance(self.vision, VisionConfig) and self.vision.naflex

    @property
    def activation(self) -> Activation:
        """Of the MLPs: the image tower's, or the text tower's where the other is a ResNet."""
        tower = self.vision if isinstance(self.vision, VisionConfig) else self.text
        return tower.activation

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """The inverse of `to_json`.

        Raises:
            SettingsError: a field is missing, unknown, or goes ill with another.
        """
        try:
            vision, text = (_with_tuples(fields[tower]) for tower in ("vision", "text"))
            kind = ResNetConfig if vision.get("kind") == "resnet" else VisionConfig
            towers = {"vision": kind(**vision), "text": TextConfig(**text)}
            return cls(**{**fields, **towers})
        except (KeyError, TypeError, AttributeError) as error:
            raise SettingsError(f"not the configuration of a model: {error}") from error


def _with_tuples(fields: dict[str, Any]) -> dict[str, Any]:
    """JSON has lists only."""
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }


def _check_types(config: VisionConfig | ResNetConfig | TextConfig | ClipConfig) -> None:
    """Whatever came from a file is what the annotations say."""
    for name, annotation in get_type_hints(type(config)).items():
        value = getattr(config, name)
        fits, expected = _check_type(value, annotation)
        if not fits:
            raise SettingsError(f"{name}={value!r}: expected {expected}")


def _check_type(value: Any, annotation: Any) -> tuple[bool, str]:  # noqa: ANN401 - whatever JSON has
    """Whether a value is of a type, and the type in words."""
    if get_origin(annotation) is Literal:
        choices = get_args(annotation)
        return value in choices, f"one of {', '.join(choices)}"
    if get_origin(annotation) is tuple:
        entries = value if isinstance(value, tuple) else (value,)
        each = [_check_type(entry, get_args(annotation)[0]) for entry in entries]
        _, expected = _check_type(None, get_args(annotation)[0])
        fits = isinstance(value, tuple) and all(entry_fits for entry_fits, _ in each)
        return fits, f"a list of {expected}"
    if annotation is int:  # where True would count as 1
        return type(value) is int, "int"
    return isinstance(value, annotation), str(annotation)


def _check_heads(tower: str, width: int, heads: int) -> None:
    if heads < 1 or width % heads:
        raise SettingsError(f"{tower} width {width} cannot be shared by {heads} heads")
