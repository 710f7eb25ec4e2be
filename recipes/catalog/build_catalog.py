"""Write `src/clipworks/encoders/catalog.json` from open_clip's own tables.

    pip download --no-deps open_clip_torch && unzip open_clip_torch-*.whl -d unpacked
    git clone --depth 1 https://github.com/mlfoundations/open_clip
    python -m recipes.catalog.build_catalog unpacked/open_clip --results open_clip/docs

The package gives repositories, activations, preprocessing and sizes; the repository's `docs` give
the published figures; `additions.json` gives licences, other names and ready ONNX exports, each
with where it was read. Only models whose two towers are open_clip's own transformers are taken.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

RECIPE = Path(__file__).parent
CATALOG = RECIPE.parents[1] / "src" / "clipworks" / "encoders" / "catalog.json"

# A configuration with any other key is another architecture, whatever its name.
TOWER_KEYS = {
    "vision_cfg": {"image_size", "layers", "width", "patch_size", "head_width", "mlp_ratio"},
    "text_cfg": {"context_length", "vocab_size", "width", "heads", "layers"},
}
MODEL_KEYS = {"embed_dim", "quick_gelu", *TOWER_KEYS}
FIGURES = {
    "imagenet_top1": "ImageNet 1k",
    "flickr30k_text_to_image_r1": "Flickr image retr. R@1",
    "flickr30k_image_to_text_r1": "Flickr text retr. R@1",
    "coco_text_to_image_r1": "MSCOCO image retr. R@1",
    "coco_image_to_text_r1": "MSCOCO text retr. R@1",
}
RESULT_FILES = ("openclip_results.csv", "openclip_retrieval_results.csv")


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
        return bool(self.pretrained.get("quick_gelu"))

    @property
    def repository(self) -> str:
        """Where the weights are; open_clip ends it with a slash when the file is the usual one."""
        repository, _, file = self.pretrained["hf_hub"].rpartition("/")
        assert not file, f"{self.name} has a file of its own: {file}"
        return repository


def main() -> None:
    """Read, put together, write."""
    arguments = parse_arguments()
    tables = import_tables(arguments.open_clip)
    figures = read_figures(arguments.results) if arguments.results else {}
    additions = json.loads((RECIPE / "additions.json").read_text(encoding="utf-8"))
    tags, left_out = select_tags(read_tags(tables, arguments.open_clip / "model_configs"))
    entries = []
    for tag in tags:
        ready, reason = find_ready_export(tag, additions["ready_exports"])
        left_out |= {reason[0]: reason[1]} if reason else {}
        entries.append(describe(tag, ready, additions) | {"published": pick_figures(tag, figures)})
    sources = {
        "open_clip": importlib.import_module("open_clip.version").__version__,
        "published": describe_results(arguments.results),
        "additions": "recipes/catalog/additions.json",
    }
    write_catalog(arguments.out, {"sources": sources, "left_out": left_out}, entries)
    print(f"{arguments.out}: {len(entries)} models, {len(left_out)} left out")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Write the catalogue of models.")
    parser.add_argument("open_clip", type=Path, help="the unpacked package `open_clip`")
    parser.add_argument("--results", type=Path, help="the repository's folder `docs`")
    parser.add_argument("--out", type=Path, default=CATALOG)
    return parser.parse_args()


def import_tables(package: Path) -> ModuleType:
    """Import `open_clip.pretrained` alone: the package itself wants torchvision and timm."""
    stub = ModuleType("open_clip")
    stub.__path__ = [str(package)]
    sys.modules["open_clip"] = stub
    return importlib.import_module("open_clip.pretrained")


def read_tags(tables: ModuleType, configs: Path) -> list[Tag]:
    """Every pretrained tag with the configuration of its architecture."""
    found = []
    for architecture, tag in tables.list_pretrained():
        if architecture.endswith("-quickgelu"):
            continue  # the table's copy of the same rows, for those who choose by architecture
        config = json.loads((configs / f"{architecture}.json").read_text(encoding="utf-8"))
        found.append(Tag(architecture, tag, config, tables.get_pretrained_cfg(architecture, tag)))
    return found


def select_tags(tags: list[Tag]) -> tuple[list[Tag], dict[str, str]]:
    """Keep the models that our towers load, and say why others of that kind are left out."""
    kept, left_out = [], {}
    claimed: dict[str, str] = {}
    for tag in filter(is_plain_clip, tags):
        if tag.repository in claimed:
            left_out[tag.name] = (
                f"open_clip's table gives it the repository of {claimed[tag.repository]}, "
                f"{tag.repository}"
            )
            continue
        claimed[tag.repository] = tag.name
        kept.append(tag)
    return kept, left_out


def is_plain_clip(tag: Tag) -> bool:
    """Whether both towers are plain transformers, without any further option."""
    known = set(tag.config) <= MODEL_KEYS and all(
        set(tag.config[tower]) <= keys for tower, keys in TOWER_KEYS.items()
    )
    return known and isinstance(tag.config["vision_cfg"]["layers"], int)  # ResNets have a list


def describe(tag: Tag, ready: dict[str, str] | None, additions: dict[str, Any]) -> dict[str, Any]:
    """One entry, in the order in which it is written."""
    vision, text = describe_vision(tag.config["vision_cfg"]), describe_text(tag.config["text_cfg"])
    aliases = [tag.repository, *additions["aliases"].get(tag.name, [])]
    if tag.is_quick:
        aliases.append(f"{tag.architecture}-quickgelu/{tag.tag}")
    licence = find_licence(tag, additions["licences"])
    constants = sys.modules["open_clip.constants"]
    return {
        "name": tag.name,
        "aliases": sorted(aliases),
        "family": "clip",
        "repository": tag.repository,
        "weight_files": [constants.HF_SAFE_WEIGHTS_NAME, constants.HF_WEIGHTS_NAME],
        "embedding_dim": tag.config["embed_dim"],
        "activation": "quick_gelu" if tag.is_quick else "gelu",
        "vision": vision,
        "text": text,
        "preprocessing": {
            "resize": tag.pretrained["resize_mode"],
            "interpolation": tag.pretrained["interpolation"],
            "mean": tag.pretrained["mean"],
            "std": tag.pretrained["std"],
        },
        "num_parameters": count_parameters(vision, text, tag.config["embed_dim"]),
        "licence": licence.get("licence"),
        "attribution": licence.get("attribution"),
        "ready_export": ready,
    }


def describe_vision(config: dict[str, Any]) -> dict[str, int]:
    """The image tower's sizes; open_clip's defaults are 64 channels a head and an MLP of 4."""
    return {
        "image_size": config["image_size"],
        "patch_size": config["patch_size"],
        "width": config["width"],
        "layers": config["layers"],
        "heads": config["width"] // config.get("head_width", 64),
        "mlp_width": int(config["width"] * config.get("mlp_ratio", 4.0)),
    }


def describe_text(config: dict[str, Any]) -> dict[str, int]:
    """The text tower's sizes."""
    kept = ("context_length", "vocab_size", "width", "layers", "heads")
    return {key: config[key] for key in kept} | {"mlp_width": 4 * config["width"]}


def count_parameters(vision: dict[str, int], text: dict[str, int], embed_dim: int) -> int:
    """How many numbers the checkpoint holds, the logit scale included."""
    num_tokens = (vision["image_size"] // vision["patch_size"]) ** 2 + 1
    image = vision["width"] * (3 * vision["patch_size"] ** 2 + 1 + num_tokens + 4 + embed_dim)
    words = text["width"] * (text["vocab_size"] + text["context_length"] + 2 + embed_dim)
    return image + words + count_in_blocks(vision) + count_in_blocks(text) + 1


def count_in_blocks(tower: dict[str, int]) -> int:
    """Attention, MLP and two norms, in each block."""
    width, mlp = tower["width"], tower["mlp_width"]
    return tower["layers"] * (4 * width * (width + 1) + 2 * width * mlp + width + mlp + 4 * width)


def find_licence(tag: Tag, licences: list[dict[str, Any]]) -> dict[str, Any]:
    """What is known of the licence of the weights, or nothing."""
    for row in licences:
        if tag.repository.startswith(row["repository"]) and tag.tag in (row["tags"] or [tag.tag]):
            return row
    return {}


def find_ready_export(
    tag: Tag, layouts: dict[str, Any]
) -> tuple[dict[str, str] | None, tuple[str, str] | None]:
    """The hub's ONNX export of a model; refused where it was made with the other GELU."""
    for layout, table in layouts.items():
        repository = table["repositories"].get(tag.name)
        if repository is None:
            continue
        exported_as = repository.partition("/")[2].partition("__")[0]
        if layout == "open_clip" and exported_as.endswith("-quickgelu") != tag.is_quick:
            reason = f"made with another activation than the weights' ({tag.name})"
            return None, (repository, reason)
        return {"repository": repository, "layout": layout}, None
    return None, None


def read_figures(docs: Path) -> dict[tuple[str, str], dict[str, str]]:
    """The published figures of each model and tag."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for file in RESULT_FILES:
        with (docs / file).open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                rows.setdefault((row["name"], row["pretrained"]), {}).update(row)
    return rows


def pick_figures(
    tag: Tag, figures: dict[tuple[str, str], dict[str, str]]
) -> dict[str, float] | None:
    """The figures measured with the right activation, or none."""
    quick = figures.get((f"{tag.architecture}-quickgelu", tag.tag)) if tag.is_quick else None
    row = quick or figures.get((tag.architecture, tag.tag))
    if row is None:
        return None
    return {key: float(row[column]) for key, column in FIGURES.items() if row.get(column)}


def describe_results(docs: Path | None) -> str | None:
    """Name the files and the commit that the figures were read from."""
    if docs is None:
        return None
    command = ["git", "-C", str(docs), "log", "-1", "--format=%H"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    commit = done.stdout.strip() or "an unknown commit"
    return f"mlfoundations/open_clip docs/{{{','.join(RESULT_FILES)}}} at {commit}"


def write_catalog(path: Path, head: dict[str, Any], entries: list[dict[str, Any]]) -> None:
    """One line an entry, so that a change of one model is a change of one line."""
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    rows = ",\n".join(f"    {json.dumps(entry)}" for entry in entries)
    text = "\n".join(["{", *lines, '  "entries": [', rows, "  ]", "}"])
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
