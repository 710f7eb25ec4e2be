"""The rendered dataset, read back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from jaxtyping import UInt8
from PIL import Image

from clipworks.inputs.images import ImageTransform
from clipworks.inputs.specs import ImageSpec

Concepts = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Split:
    """Pictures of one split.

    Attributes:
        pictures: RGBA with straight alpha.
        rows: of `pictures.parquet`, one a picture, in the same order.
    """

    pictures: UInt8[np.ndarray, "picture h w 4"]
    rows: list[dict[str, Any]]


def read_split(data: Path, name: str) -> Split:
    """Return the pictures of `train`, `unseen`, `validation`, `test` or `outside`."""
    folder = data / name
    pictures = np.load(folder / "pictures.npy", mmap_mode="r")
    return Split(pictures, pq.read_table(folder / "pictures.parquet").to_pylist())


def read_concepts(data: Path) -> Concepts:
    """Return the words of each concept."""
    return json.loads((data / "concepts.json").read_text(encoding="utf-8"))


def read_forms(data: Path) -> dict[str, list[str]]:
    """Return the other forms of the words that have any: `foot` has `feet`."""
    return json.loads((data / "forms.json").read_text(encoding="utf-8"))


def read_bases(data: Path) -> dict[str, str]:
    """Return the base of each word that has another: `feet` has `foot`."""
    return json.loads((data / "bases.json").read_text(encoding="utf-8"))


def read_names(data: Path) -> list[dict[str, Any]]:
    """Return the emoji names, one a concept."""
    return json.loads((data / "names.json").read_text(encoding="utf-8"))


def image_spec(size: int) -> ImageSpec:
    """What the model expects of a picture: the whole of it, on white."""
    return ImageSpec(
        height=size,
        width=size,
        resize="longest",
        interpolation="bicubic",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        fill=255,
        transparency="white",
    )


def product_pixels(split: Split, size: int) -> np.ndarray:
    """Pixels just as the product makes them from transparent pictures."""
    transform = ImageTransform(image_spec(size))
    return transform.batch([Image.fromarray(picture, "RGBA") for picture in split.pictures])
