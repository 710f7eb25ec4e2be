"""Other libraries' words for how a picture becomes pixels, in ours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from clipworks.errors import CheckpointError
from clipworks.inputs.specs import ImageSpec, Interpolation

_PILLOW_FILTERS: dict[int, Interpolation] = {
    0: "nearest",
    1: "lanczos",
    2: "bilinear",
    3: "bicubic",
}


def read_open_clip_settings(stated: Mapping[str, Any], usual: ImageSpec) -> ImageSpec:
    """Read open_clip's `preprocess_cfg`.

    Args:
        stated: the file's content.
        usual: what holds where it does not say.

    Raises:
        CheckpointError: it says something that is no size or no colour.
    """
    height, width = sides_of(stated.get("size", usual.height))
    return replace(
        usual,
        height=height,
        width=width,
        resize=stated.get("resize_mode", usual.resize),
        interpolation=stated.get("interpolation", usual.interpolation),
        mean=_three(stated.get("mean", usual.mean)),
        std=_three(stated.get("std", usual.std)),
        fill=stated.get("fill_color", usual.fill),
    )


def transformers_defaults(size: int) -> ImageSpec:
    """What transformers' processors, those on Pillow, do with every picture; CLIP's colours."""
    return ImageSpec(
        height=size,
        width=size,
        transparency="white",
        rgb_conversion="before_resize",
        crop_rounding="down",
    )


def read_transformers_settings(stated: Mapping[str, Any], usual: ImageSpec) -> ImageSpec:
    """Read an image processor's file, as the class that it names reads it.

    Args:
        stated: the file's content.
        usual: what holds where neither it nor its class says; `transformers_defaults` for what
            that library itself would do.

    Raises:
        CheckpointError: it says something that is no size or no colour, or that we cannot do.
    """
    stated = {**_defaults_of(stated), **stated}
    _refuse_other_steps(stated)
    asked = stated.get("size", usual.height)
    cropped = bool(stated.get("do_center_crop", True))
    shortest = asked.get("shortest_edge") if isinstance(asked, Mapping) else asked
    if shortest is not None and not cropped:
        raise CheckpointError("the image processor keeps the aspect and does not crop: unsupported")
    resample = stated.get("resample", 3)
    if resample not in _PILLOW_FILTERS:
        raise CheckpointError(f"the image processor's resample = {resample!r} is not supported")
    height, width = sides_of((stated.get("crop_size") or asked) if cropped else asked)
    normalized = stated.get("do_normalize", True)
    return replace(
        usual,
        height=height,
        width=width,
        resize="squash" if shortest is None else "shortest",
        interpolation=_PILLOW_FILTERS[resample],
        mean=_three(stated.get("image_mean", usual.mean)) if normalized else (0.0, 0.0, 0.0),
        std=_three(stated.get("image_std", usual.std)) if normalized else (1.0, 1.0, 1.0),
    )


def _defaults_of(stated: Mapping[str, Any]) -> dict[str, Any]:
    """What the processor's class takes for granted; CLIP's, which is the usual one, nothing."""
    name = str(stated.get("image_processor_type") or stated.get("feature_extractor_type") or "")
    if not name.startswith("Siglip"):
        return {}
    halves = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_center_crop": False}
    if not name.startswith("Siglip2"):
        return {**halves, "size": {"height": 224, "width": 224}}
    return {**halves, "resample": 2}


def _refuse_other_steps(stated: Mapping[str, Any]) -> None:
    expected = {"do_resize": True, "do_rescale": True, "do_pad": False}
    for name, value in expected.items():
        if stated.get(name) not in (None, value):
            raise CheckpointError(f"the image processor's {name} = {stated[name]!r}: unsupported")
    factor = stated.get("rescale_factor") or 1 / 255
    if not isinstance(factor, float) or not math.isclose(factor, 1 / 255, rel_tol=1e-6):
        raise CheckpointError(f"the image processor's rescale_factor = {factor!r}: expected 1/255")


def sides_of(asked: Any) -> tuple[int, int]:  # noqa: ANN401 - whatever a JSON file says
    """Height and width of a size, in any of the ways in which it is written.

    Raises:
        CheckpointError: it is none.
    """
    if isinstance(asked, Mapping):
        side = asked.get("shortest_edge")
        asked = [asked.get("height"), asked.get("width")] if side is None else side
    match [asked, asked] if isinstance(asked, int) else asked:
        case [int(height), int(width)]:
            return height, width
    raise CheckpointError(f"a picture's size is stated as {asked!r}: expected one or two numbers")


def _three(values: Any) -> tuple[float, float, float]:  # noqa: ANN401 - whatever a JSON file says
    try:
        red, green, blue = (float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"a colour is stated as {values!r}: expected 3 numbers") from error
    return (red, green, blue)
