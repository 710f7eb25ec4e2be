"""The models that clipworks knows by name, and where their weights are.

`catalog.json` is made by `recipes/catalog` from open_clip's own tables. Its repositories and file
names are what those tables say: no test of this project fetches them.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from clipworks.errors import UnknownModelError
from clipworks.inputs.specs import ImageSpec, TextSpec

Layout = Literal["open_clip", "transformers"]

_BYTES_PER_PARAMETER = 4
_PREFIXES = ("hf://", "hf-hub:", "open_clip:")


@dataclass(frozen=True)
class TowerSizes:
    """A transformer's sizes: width of the residual stream, blocks, heads in a block, MLP."""

    width: int
    layers: int
    heads: int
    mlp_width: int


@dataclass(frozen=True)
class ReadyExport:
    """ONNX graphs on the hub, made by others from the same weights.

    Attributes:
        repository: of the hub.
        layout: how it names its files; see `clipworks.encoders.ready_export`.
    """

    repository: str
    layout: Layout


@dataclass(frozen=True)
class PublishedFigures:
    """Zero-shot figures as published by open_clip, 0..1; None where there is none.

    Attributes:
        imagenet_top1: accuracy on ImageNet-1k.
        flickr30k_text_to_image_r1: the right picture comes first.
        flickr30k_image_to_text_r1: a right caption comes first.
        coco_text_to_image_r1: the right picture comes first.
        coco_image_to_text_r1: a right caption comes first.
    """

    imagenet_top1: float | None = None
    flickr30k_text_to_image_r1: float | None = None
    flickr30k_image_to_text_r1: float | None = None
    coco_text_to_image_r1: float | None = None
    coco_image_to_text_r1: float | None = None


@dataclass(frozen=True)
class CatalogEntry:
    """A model that can be had by name.

    Attributes:
        name: architecture and tag of the weights: "ViT-B-32/laion2b_s34b_b79k".
        aliases: other names for the same weights.
        family: "clip".
        repository: of the hub, with the checkpoint.
        weight_files: the checkpoint's possible names, the best first.
        embedding_dim: width of the joint space.
        activation: of the MLPs; "quick_gelu" where the weights were trained with it.
        image: how a picture becomes pixels.
        text: how a text becomes tokens.
        patch_size: pixels.
        vocab_size: token ids.
        vision: the image tower.
        words: the text tower.
        num_parameters: numbers in the checkpoint.
        licence: of the weights; None where it is not known.
        attribution: who made the weights; None where the licence is not known.
        ready_export: ONNX graphs that can be used without converting, if any are known.
        published: figures, if any are known.
    """

    name: str
    aliases: tuple[str, ...]
    family: str
    repository: str
    weight_files: tuple[str, ...]
    embedding_dim: int
    activation: str
    image: ImageSpec
    text: TextSpec
    patch_size: int
    vocab_size: int
    vision: TowerSizes
    words: TowerSizes
    num_parameters: int
    licence: str | None
    attribution: str | None
    ready_export: ReadyExport | None
    published: PublishedFigures

    @property
    def download_size_bytes(self) -> int:
        """About what is downloaded: four bytes a parameter, as checkpoint or as graphs."""
        return self.num_parameters * _BYTES_PER_PARAMETER


def list_entries() -> tuple[CatalogEntry, ...]:
    """Every entry, the smaller architectures first."""
    return _read_catalog()


def find_entry(name: str) -> CatalogEntry | None:
    """The entry of a name or an alias, or None.

    Case, and whether a tag is written with hyphens or underscores, make no difference; the
    prefixes of open_clip (`hf-hub:`) and clip-retrieval (`open_clip:`) may stay.
    """
    return _index().get(_simplify(name))


def open_clip_config(entry: CatalogEntry) -> dict[str, Any]:
    """What the model's `open_clip_config.json` says, for checkpoints without that file."""
    vision, words, image = entry.vision, entry.words, entry.image
    return {
        "model_cfg": {
            "embed_dim": entry.embedding_dim,
            "quick_gelu": entry.activation == "quick_gelu",
            "vision_cfg": {
                "image_size": image.height,
                "patch_size": entry.patch_size,
                "width": vision.width,
                "layers": vision.layers,
                "head_width": vision.width // vision.heads,
                # Readers round the product down; the half keeps it from falling below.
                "mlp_ratio": (vision.mlp_width + 0.5) / vision.width,
            },
            "text_cfg": {
                "context_length": entry.text.context_length,
                "vocab_size": entry.vocab_size,
                "width": words.width,
                "layers": words.layers,
                "heads": words.heads,
            },
        },
        "preprocess_cfg": {
            "mean": list(image.mean),
            "std": list(image.std),
            "interpolation": image.interpolation,
            "resize_mode": image.resize,
        },
    }


def unknown_model(name: str, *, installed: Iterable[str] = ()) -> UnknownModelError:
    """The error for a name that nobody knows, with the nearest names, installed ones included."""
    key = _simplify(name)
    same = [entry for entry in list_entries() if _simplify(entry.name).startswith(key + "/")]
    near = [entry.name for entry in sorted(same, key=_by_convenience)]
    if not near:
        known = {key: entry.name for key, entry in _index().items()}
        known |= {_simplify(other): other for other in installed}
        matches = difflib.get_close_matches(key, known, n=3, cutoff=0.6)
        near = list(dict.fromkeys(known[match] for match in matches))
    hint = f"did you mean {_join(near[:4])}?" if near else "`clipworks models` lists those it knows"
    return UnknownModelError(f"{name}: neither a bundle's folder nor a known model: {hint}")


def _by_convenience(entry: CatalogEntry) -> tuple[bool, float]:
    """What needs no conversion first, then by published accuracy."""
    return entry.ready_export is None, -(entry.published.imagenet_top1 or 0.0)


def is_architecture(name: str) -> bool:
    """Whether the part before the slash is an architecture of the catalogue."""
    architecture = _simplify(name).partition("/")[0]
    return any(key.startswith(architecture + "/") for key in map(_simplify, _names()))


def _names() -> list[str]:
    return [entry.name for entry in list_entries()]


@cache
def _read_catalog() -> tuple[CatalogEntry, ...]:
    text = (files("clipworks.encoders") / "catalog.json").read_text(encoding="utf-8")
    return tuple(_parse(fields) for fields in json.loads(text)["entries"])


@cache
def _index() -> dict[str, CatalogEntry]:
    names: dict[str, CatalogEntry] = {}
    for entry in list_entries():
        for name in (entry.name, *entry.aliases):
            assert names.setdefault(_simplify(name), entry) is entry, (
                f"{name} stands for two models"
            )
    return names


def _parse(fields: dict[str, Any]) -> CatalogEntry:
    vision, text, pictures = fields["vision"], fields["text"], fields["preprocessing"]
    return CatalogEntry(
        name=fields["name"],
        aliases=tuple(fields["aliases"]),
        family=fields["family"],
        repository=fields["repository"],
        weight_files=tuple(fields["weight_files"]),
        embedding_dim=fields["embedding_dim"],
        activation=fields["activation"],
        image=ImageSpec.from_json(
            {"height": vision["image_size"], "width": vision["image_size"], **pictures}
        ),
        text=TextSpec(context_length=text["context_length"]),
        patch_size=vision["patch_size"],
        vocab_size=text["vocab_size"],
        vision=_parse_sizes(vision),
        words=_parse_sizes(text),
        num_parameters=fields["num_parameters"],
        licence=fields["licence"],
        attribution=fields["attribution"],
        ready_export=ReadyExport(**fields["ready_export"]) if fields["ready_export"] else None,
        published=PublishedFigures(**(fields["published"] or {})),
    )


def _parse_sizes(fields: dict[str, int]) -> TowerSizes:
    return TowerSizes(fields["width"], fields["layers"], fields["heads"], fields["mlp_width"])


def _simplify(name: str) -> str:
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name.strip("/").replace("__", "/").replace(":", "/").replace("-", "_").casefold()


def _join(names: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
