"""The models that clipworks knows by name, and where their weights are.

`catalog.json` is made by `recipes/catalog` from open_clip's own tables and a list of additions,
each with its source. Its repositories and file names are what those say: no test of this project
fetches them.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from clipworks.errors import UnknownModelError
from clipworks.inputs.specs import ImageSpec, TextSpec

Layout = Literal["open_clip", "transformers"]
CheckpointLayout = Literal["open_clip", "transformers", "openai"]
Loader = Literal["native", "open_clip"]

OWN_TOKENIZER = "clip"
"""The tokenizer in this package, CLIP's own, as the catalogue names it."""

_BYTES_PER_PARAMETER = 4
_PREFIXES = ("hf://", "hf-hub:", "open_clip:")


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
    """Zero-shot figures, 0..1, as published by open_clip, or else by the model's authors.

    None where no source was found.

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
        architecture: in open_clip's words; of a model that open_clip does not list, one like it.
        aliases: other names for the same weights.
        family: "clip", "siglip", "eva", ...
        loader: who builds it: `native` for the towers of this package, `open_clip` for the adapter.
        repository: of the hub, with the checkpoint.
        layout: how the checkpoint's files are named and what stands beside them.
        weight_files: the checkpoint's possible names, the best first.
        embedding_dim: width of the joint space.
        activation: of the MLPs; "quick_gelu" where the weights were trained with it; None where
            only the checkpoint knows.
        image: how a picture becomes pixels, as far as published tables say.
        text: how a text becomes tokens; its special tokens are known for CLIP's tokenizer alone.
        tokenizer: OWN_TOKENIZER, or the repository that has it.
        image_parameters: numbers in the image tower.
        text_parameters: numbers in the text tower.
        num_parameters: numbers in the checkpoint.
        licence: of the weights; None where it is not known.
        attribution: who made the weights; None where the licence is not known.
        ready_export: ONNX graphs that can be used without converting, if any are known.
        published: figures, if any are known.
        config: the architecture's configuration in open_clip's words, where our towers load it.
    """

    name: str
    architecture: str
    aliases: tuple[str, ...]
    family: str
    loader: Loader
    repository: str
    layout: CheckpointLayout
    weight_files: tuple[str, ...]
    embedding_dim: int
    activation: str | None
    image: ImageSpec
    text: TextSpec
    tokenizer: str
    image_parameters: int
    text_parameters: int
    num_parameters: int
    licence: str | None
    attribution: str | None
    ready_export: ReadyExport | None
    published: PublishedFigures
    config: Mapping[str, Any] | None

    @property
    def download_size_bytes(self) -> int:
        """An estimate of what is downloaded: four bytes a parameter, as checkpoint or as graphs."""
        return self.num_parameters * _BYTES_PER_PARAMETER


def list_entries() -> tuple[CatalogEntry, ...]:
    """Every entry, in the order of open_clip's own table."""
    return _read_catalog()


def find_entry(name: str) -> CatalogEntry | None:
    """The entry of a name or an alias, or None.

    Case, and whether a tag is written with hyphens or underscores, make no difference; the
    prefixes of open_clip (`hf-hub:`) and clip-retrieval (`open_clip:`) may stay.
    """
    return _index().get(_simplify(name))


def open_clip_config(entry: CatalogEntry) -> dict[str, Any] | None:
    """What the model's `open_clip_config.json` says, for checkpoints without that file.

    None where the checkpoint has a configuration of its own, or open_clip builds the model.
    """
    if entry.config is None or entry.layout != "open_clip":
        return None
    quick = {"quick_gelu": entry.activation == "quick_gelu"} if entry.activation else {}
    image = entry.image
    return {
        "model_cfg": {**entry.config, **quick},
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
    fields = json.loads(text)
    shapes = fields["architectures"]
    return tuple(_parse(row, shapes[row["architecture"]]) for row in fields["entries"])


@cache
def _index() -> dict[str, CatalogEntry]:
    names: dict[str, CatalogEntry] = {}
    for entry in list_entries():
        for name in (entry.name, *entry.aliases):
            assert names.setdefault(_simplify(name), entry) is entry, (
                f"{name} stands for two models"
            )
    return names


def _parse(fields: dict[str, Any], shape: dict[str, Any]) -> CatalogEntry:
    text = dict(shape["text"])
    tokenizer = text.pop("tokenizer")
    if tokenizer != OWN_TOKENIZER:
        text |= {"start_id": None, "end_id": None}
    side = shape["image_size"]
    towers = shape["image_parameters"], shape["text_parameters"]
    return CatalogEntry(
        **{name: fields[name] for name in _PLAIN_FIELDS},
        **{name: shape[name] for name in _SHARED_FIELDS},
        aliases=tuple(fields["aliases"]),
        weight_files=tuple(fields["weight_files"]),
        image=ImageSpec.from_json({"height": side, "width": side, **fields["preprocessing"]}),
        text=TextSpec.from_json(text),
        tokenizer=tokenizer,
        num_parameters=sum(towers) + shape["other_parameters"],
        ready_export=ReadyExport(**fields["ready_export"]) if fields["ready_export"] else None,
        published=PublishedFigures(**(fields["published"] or {})),
    )


_PLAIN_FIELDS = (
    "name", "architecture", "repository", "layout", "activation", "licence", "attribution",
)  # fmt: skip
_SHARED_FIELDS = (
    "family", "loader", "embedding_dim", "image_parameters", "text_parameters", "config",
)  # fmt: skip


def _simplify(name: str) -> str:
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name.strip("/").replace("__", "/").replace(":", "/").replace("-", "_").casefold()


def _join(names: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
