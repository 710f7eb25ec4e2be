"""What a checkpoint expects of its inputs: frozen facts that travel inside the bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass
from dataclasses import fields as fields_of
from typing import Any, Literal, Self, get_args

from clipworks.errors import SettingsError

Resize = Literal["shortest", "longest", "squash"]
Interpolation = Literal["bicubic", "bilinear", "nearest", "lanczos"]
Transparency = Literal["drop", "white"]
RgbConversion = Literal["after_resize", "before_resize"]
CropRounding = Literal["nearest", "down"]
Cleaning = Literal["whitespace", "canonicalize", "siglip", "none"]

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
            picture on white, as transformers does.
        rgb_conversion: `after_resize`, as open_clip does, or `before_resize`, as transformers does;
            grey, palette and CMYK pictures differ.
        crop_rounding: where a crop begins when half of what is left over is no whole pixel:
            `nearest` (and even), as torchvision does, or `down`, as transformers does.

    Raises:
        SettingsError: a value is not one of these.
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
    rgb_conversion: RgbConversion = "after_resize"
    crop_rounding: CropRounding = "nearest"

    def __post_init__(self) -> None:
        _check_choice("resize", self.resize, Resize)
        _check_choice("interpolation", self.interpolation, Interpolation)
        _check_choice("transparency", self.transparency, Transparency)
        _check_choice("rgb_conversion", self.rgb_conversion, RgbConversion)
        _check_choice("crop_rounding", self.crop_rounding, CropRounding)
        if self.height < 1 or self.width < 1:
            raise SettingsError(f"a picture of {self.width} x {self.height} pixels has none")
        if len(self.mean) != 3 or len(self.std) != 3 or 0 in self.std:
            raise SettingsError(f"mean {self.mean} and std {self.std} need 3 values, no std of 0")

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `bundle.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """The inverse of `to_json`; fields that are missing have their defaults.

        Raises:
            SettingsError: a field is unknown, or has a value that it cannot have.
        """
        _check_names(cls, fields)
        colors = {name: tuple(fields[name]) for name in ("mean", "std") if name in fields}
        return cls(**{**fields, **colors})


@dataclass(frozen=True)
class TextSpec:
    """How a text becomes tokens.

    Attributes:
        context_length: tokens, the end token included.
        cleaning: `whitespace` (CLIP: mend mojibake, unescape HTML, single spaces),
            `canonicalize` (SigLIP in open_clip: also strip punctuation), `siglip` (SigLIP in
            transformers: strip punctuation, then SentencePiece's own table of characters), or
            `none`.
        lowercase: whether the text is lower-cased; a tokenizer may do so by itself.
        start_id: the token put before the text, or None.
        end_id: the token put after the text, or None.
        pad_id: fills the context up to its length.

    Raises:
        SettingsError: a value is not one of these.
    """

    context_length: int
    cleaning: Cleaning = "whitespace"
    lowercase: bool = True
    start_id: int | None = 49406
    end_id: int | None = 49407
    pad_id: int = 0

    def __post_init__(self) -> None:
        _check_choice("cleaning", self.cleaning, Cleaning)
        framing = sum(token is not None for token in (self.start_id, self.end_id))
        if self.context_length <= framing:
            raise SettingsError(
                f"context_length {self.context_length} leaves no room for text beside "
                f"{framing} special tokens"
            )

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `bundle.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """The inverse of `to_json`; fields that are missing have their defaults.

        Raises:
            SettingsError: a field is unknown, or has a value that it cannot have.
        """
        _check_names(cls, fields)
        return cls(**fields)


def _check_choice(name: str, value: object, choices: object) -> None:
    if value not in get_args(choices):
        raise SettingsError(f"{name} is {value!r}, expected one of {', '.join(get_args(choices))}")


def _check_names(spec: type, fields: Mapping[str, Any]) -> None:
    known = {field.name: field for field in fields_of(spec)}
    if unknown := sorted(set(fields) - set(known)):
        raise SettingsError(f"{spec.__name__} has no {', '.join(unknown)}: a newer version's?")
    needed = {name for name, field in known.items() if field.default is MISSING}
    if missing := sorted(needed - set(fields)):
        raise SettingsError(f"{spec.__name__} needs {', '.join(missing)}")
