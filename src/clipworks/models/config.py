"""What a model is, as frozen facts: its sizes, and whatever its weights alone cannot say."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

from clipworks.errors import SettingsError

Activation = Literal["gelu", "quick_gelu", "gelu_tanh"]
VisionPooling = Literal["class_token", "patch_mean", "map"]
PositionResize = Literal["bicubic", "bicubic_antialias", "bilinear_antialias"]
TextPooling = Literal["argmax", "end_token", "last", "first"]
Projection = Literal["none", "linear", "linear_bias"]
Scores = Literal["softmax", "sigmoid"]


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
        pooling: what becomes the picture's vector: the class token, the mean of the patches, or
            what a learnt query finds among them (`map`, multi-head attention pooling).
        norm_pooled: whether the last LayerNorm works on the pooled vector, not on every token.
        layer_scale: whether each branch of a block is scaled, channel by channel.
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
    layer_scale: bool = False
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
            first that is `end_id` (`end_token`), the `last` or the `first` of the context.
        end_id: the end token; needed by `end_token`.
        pad_id: fills the context after the end token, where known.
        projection: what takes the pooled vector into the joint space.
        layer_scale: whether each branch of a block is scaled, channel by channel.
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

    def __post_init__(self) -> None:
        _check_types(self)
        _check_heads("text", self.width, self.heads)
        if self.pooling == "end_token" and self.end_id is None:
            raise SettingsError("pooling 'end_token' needs end_id, the id of the end token")


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
    vision: VisionConfig
    text: TextConfig
    scores: Scores = "softmax"

    def __post_init__(self) -> None:
        _check_types(self)
        for name, tower in (("text", self.text), ("vision", self.vision)):
            if tower.projection == "none" and tower.width != self.embed_dim:
                raise SettingsError(
                    f"a {name} tower without projection gives {tower.width} numbers, "
                    f"but the joint space has {self.embed_dim}"
                )

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
            towers = {
                "vision": VisionConfig(**fields["vision"]),
                "text": TextConfig(**fields["text"]),
            }
            return cls(**{**fields, **towers})
        except (KeyError, TypeError) as error:
            raise SettingsError(f"not the configuration of a model: {error}") from error


def _check_types(config: VisionConfig | TextConfig | ClipConfig) -> None:
    """Whatever came from a file is what the annotations say."""
    for name, annotation in get_type_hints(type(config)).items():
        value = getattr(config, name)
        if get_origin(annotation) is Literal:
            fits, expected = (
                value in get_args(annotation),
                f"one of {', '.join(get_args(annotation))}",
            )
        elif annotation is int:  # where True would count as 1
            fits, expected = type(value) is int, "int"
        else:
            fits, expected = isinstance(value, annotation), str(annotation)
        if not fits:
            raise SettingsError(f"{name}={value!r}: expected {expected}")


def _check_heads(tower: str, width: int, heads: int) -> None:
    if heads < 1 or width % heads:
        raise SettingsError(f"{tower} width {width} cannot be shared by {heads} heads")
