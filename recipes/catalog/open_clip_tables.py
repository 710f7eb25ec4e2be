"""What open_clip's own package says of its models: names, weights, sizes, preprocessing."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

# A configuration with any other key is another architecture, whatever its name.
PLAIN_KEYS = {
    "vision_cfg": {"image_size", "layers", "width", "patch_size", "head_width", "mlp_ratio"},
    "text_cfg": {"context_length", "vocab_size", "width", "heads", "layers"},
}
# The first that fits an architecture's name.
FAMILIES = {
    "SigLIP2": "siglip2",
    "nllb": "nllb-clip",
    "SigLIP": "siglip",
    "MobileCLIP": "mobileclip",
    "PE-Core": "pe-core",
    "CLIPA": "clipa",
    "worldwide": "metaclip2",
    "ViTamin": "vitamin",
    "convnext": "convnext",
    "EVA": "eva",
    "coca": "coca",
    "roberta": "roberta-clip",
}
NATIVE_FAMILIES = {"clip", "siglip", "siglip2", "coca"}
# A context that open_clip takes for every text tower of `transformers`.
DEFAULT_CONTEXT = 77


@dataclass(frozen=True)
class Tag:
    """One row of open_clip's table: an architecture, its weights' tag, and what goes with them."""

    architecture: str
    tag: str
    config: dict[str, Any]
    pretrained: dict[str, Any]

    @property
    def name(self) -> str:
        """The catalogue's name for it."""
        return f"{self.architecture}/{self.tag}"

    @property
    def is_quick(self) -> bool:
        """Whether the weights were trained with QuickGELU; the tag knows, the name may not."""
        return bool(self.pretrained.get("quick_gelu") or self.config.get("quick_gelu"))

    @property
    def repository(self) -> str:
        """Where the weights are."""
        return self.pretrained["hf_hub"].rpartition("/")[0]

    @property
    def weight_files(self) -> list[str]:
        """The checkpoint's possible names; open_clip ends with a slash when they are the usual."""
        file = self.pretrained["hf_hub"].rpartition("/")[2]
        constants = sys.modules["open_clip.constants"]
        return [file] if file else [constants.HF_SAFE_WEIGHTS_NAME, constants.HF_WEIGHTS_NAME]


def import_tables(package: Path) -> ModuleType:
    """Import `open_clip.pretrained` alone: the package itself wants torchvision and timm."""
    stub = ModuleType("open_clip")
    stub.__path__ = [str(package)]
    sys.modules["open_clip"] = stub
    return importlib.import_module("open_clip.pretrained")


def read_tags(tables: ModuleType, configs: Path) -> tuple[list[Tag], dict[str, list[str]]]:
    """Every pretrained tag with the configuration of its architecture.

    Returns:
        The tags, and the names of a second architecture under which open_clip lists some of them
        again: the same weights, with QuickGELU in the name.
    """
    found: dict[str, Tag] = {}
    again: dict[str, list[str]] = {}
    for architecture, tag in tables.list_pretrained():
        plain = architecture.removesuffix("-quickgelu")
        if plain != architecture:
            again.setdefault(f"{plain}/{tag}", []).append(f"{architecture}/{tag}")
            continue
        config = json.loads((configs / f"{architecture}.json").read_text(encoding="utf-8"))
        one = Tag(architecture, tag, config, tables.get_pretrained_cfg(architecture, tag))
        found[one.name] = one
    assert set(again) <= set(found)
    return list(found.values()), again


def family_of(architecture: str) -> str:
    """What kind of model an architecture is."""
    return next((kind for part, kind in FAMILIES.items() if part in architecture), "clip")


def loader_of(architecture: str, config: dict[str, Any]) -> str:
    """Who builds it: `native` for our own towers with a tokenizer at hand, else `open_clip`."""
    family = family_of(architecture)
    if family == "clip":
        is_plain = all(set(config[tower]) <= keys for tower, keys in PLAIN_KEYS.items())
        assert is_plain, f"{architecture} is no plain CLIP: which family is it?"
    return "native" if family in NATIVE_FAMILIES else "open_clip"


def describe_text(config: dict[str, Any]) -> dict[str, Any]:
    """How an architecture's texts are cleaned and cut, and whose tokens they become."""
    text = config["text_cfg"]
    tokenizer = text.get("hf_tokenizer_name")
    usual = "lower" if tokenizer is None else "whitespace"
    clean = text.get("tokenizer_kwargs", {}).get("clean", usual)
    return {
        "context_length": text.get("context_length", DEFAULT_CONTEXT),
        "cleaning": "canonicalize" if clean == "canonicalize" else "whitespace",
        "lowercase": clean != "whitespace",
        "tokenizer": tokenizer or "clip",
    }
