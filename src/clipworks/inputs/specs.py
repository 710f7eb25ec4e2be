"""What a checkpoint expects of its inputs: frozen facts that travel inside the bundle."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

Resize = Literal["shortest", "longest", "squash"]
Interpolation = Literal["bicubic", "bilinear", "nearest", "lanczos"]
Transparency = Literal["drop", "white"]
Cleaning = Literal["whitespace", "canonicalize", "none"]

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class ImageSpec:
    """How a picture becomes pixels.

    Attributes:
        height: pixels, of the model's input.
        width: pixels, of the model's input.
        resize: `shortest` scales the shorter side to fit and crops the centre; `longest` scales
            the longer side and pads with `fill`; `squash` ignores the aspect.
        interpolation: Pillow's filter of that name, with antialiasing.
        mean: per channel, on the 0..1 scale.
        std: per channel, on the 0..1 scale.
        fill: grey level of padding, 0..255.
        orient_exif: turn the picture as its EXIF orientation says (open_clip does not).
        rescale_16bit: scale 16-bit pictures to 8 bits (open_clip clips them).
        transparency: `drop` forgets the alpha channel, as open_clip does; `white` first lays the
            picture on white.
    """

    height: int
    width: int
    resize: Resize = "shortest"
    interpolation: Interpolation = "bicubic"
    mean: tuple[float, float, float] = OPENAI_MEAN
    std: tuple[float, float, float] = OPENAI_STD
    fill: int = 0
    orient_exif: bool = True
    rescale_16bit: bool = True
    transparency: Transparency = "drop"

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `bundle.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(**{**fields, "mean": tuple(fields["mean"]), "std": tuple(fields["std"])})


@dataclass(frozen=True)
class TextSpec:
    """How a text becomes tokens.

    Attributes:
        context_length: tokens, the end token included.
        cleaning: `whitespace` (CLIP: mend mojibake, unescape HTML, single spaces),
            `canonicalize` (SigLIP: also strip punctuation), or `none`.
        lowercase: whether the text is lower-cased.
        start_id: the token put before the text, or None.
        end_id: the token put after the text, or None.
        pad_id: fills the context up to its length.
    """

    context_length: int
    cleaning: Cleaning = "whitespace"
    lowercase: bool = True
    start_id: int | None = 49406
    end_id: int | None = 49407
    pad_id: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `bundle.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(**fields)
