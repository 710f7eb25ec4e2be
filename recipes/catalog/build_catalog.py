"""Write `src/clipworks/encoders/catalog.json` from open_clip's own tables.

    pip download --no-deps open_clip_torch==3.3.0 && unzip open_clip_torch-*.whl -d unpacked
    git clone --depth 1 https://github.com/mlfoundations/open_clip
    python -m recipes.catalog.build_catalog unpacked/open_clip open_clip/docs

The package gives names, repositories, activations, preprocessing and sizes; the repository's
`docs` give the published figures; `parameters.json` (by `count_parameters`) says how large the
towers are; `additions.json` gives licences, other names, ready ONNX exports, other figures and
other models, each with where it was read.
"""

from __future__ import annotations

import argparse
import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.catalog.open_clip_tables import (
    Tag,
    describe_text,
    family_of,
    import_tables,
    loader_of,
    read_tags,
)
from recipes.catalog.published_figures import (
    Rows,
    describe_sources,
    pick_figures,
    read_additions,
    read_results,
    read_text_sizes,
)

RECIPE = Path(__file__).parent
CATALOG = RECIPE.parents[1] / "src" / "clipworks" / "encoders" / "catalog.json"

# Families whose activation follows from open_clip's configuration alone.
KNOWN_ACTIVATION = {"clip", "clipa", "coca", "metaclip2"}

Fields = dict[str, Any]


@dataclass(frozen=True)
class Sources:
    """All that was read, beside open_clip's tags."""

    additions: Fields
    parameters: dict[str, dict[str, int | None]]
    text_sizes: dict[str, int]
    results: Rows
    other_figures: dict[str, dict[str, float]]
    listed_again: dict[str, list[str]]


def main() -> None:
    """Read, put together, write."""
    arguments = parse_arguments()
    tables = import_tables(arguments.open_clip)
    all_tags, listed_again = read_tags(tables, arguments.open_clip / "model_configs")
    additions = read_json("additions.json")
    sources = Sources(
        additions=additions,
        parameters=read_json("parameters.json"),
        text_sizes=read_text_sizes(arguments.docs),
        results=read_results(arguments.docs),
        other_figures=read_additions(additions["figures"]),
        listed_again=listed_again,
    )
    tags, left_out = leave_out_copies(all_tags)
    architectures = {
        tag.architecture: describe_architecture(tag.architecture, tag.config, sources)
        for tag in tags
    }
    entries = [describe_tag(tag, sources, left_out) for tag in tags]
    add_models(architectures, entries, sources)
    head = {
        "sources": {
            "open_clip": importlib.import_module("open_clip.version").__version__,
            "published": describe_sources(arguments.docs),
            "additions": "recipes/catalog/additions.json",
        },
        "left_out": left_out,
    }
    write_catalog(arguments.out, head, architectures, entries)
    print(f"{arguments.out}: {len(entries)} models, {len(left_out)} left out")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Write the catalogue of models.")
    parser.add_argument("open_clip", type=Path, help="the unpacked package `open_clip`")
    parser.add_argument("docs", type=Path, help="the repository's folder `docs`")
    parser.add_argument("--out", type=Path, default=CATALOG)
    return parser.parse_args()


def read_json(name: str) -> Any:  # noqa: ANN401 - whatever the file holds
    """A file of this recipe."""
    return json.loads((RECIPE / name).read_text(encoding="utf-8"))


def leave_out_copies(tags: list[Tag]) -> tuple[list[Tag], dict[str, str]]:
    """Drop a tag to which open_clip's table gives the weights of another tag."""
    kept, left_out = [], {}
    claimed: dict[tuple[str, str], str] = {}
    for tag in tags:
        first = claimed.setdefault((tag.architecture, tag.repository), tag.name)
        if first == tag.name:
            kept.append(tag)
        else:
            left_out[tag.name] = (
                f"open_clip's table gives it the repository of {first}, {tag.repository}"
            )
    return kept, left_out


def describe_architecture(name: str, config: Fields, sources: Sources) -> Fields:
    """What all weights of an architecture have in common."""
    counted = sources.parameters[name]
    text = counted["text"] if counted["text"] is not None else sources.text_sizes.get(name)
    loader = loader_of(name, config)
    return {
        "family": family_of(name),
        "loader": loader,
        "embedding_dim": config["embed_dim"],
        "image_size": config["vision_cfg"]["image_size"],
        "text": describe_text(config),
        "image_parameters": counted["image"],
        "text_parameters": text,
        "other_parameters": counted["other"],
        "config": config if loader == "native" else None,
    }


def describe_tag(tag: Tag, sources: Sources, left_out: dict[str, str]) -> Fields:
    """One entry, in the order in which it is written."""
    additions, family = sources.additions, family_of(tag.architecture)
    aliases = [*additions["aliases"].get(tag.name, []), *sources.listed_again.get(tag.name, [])]
    if additions["shared_repositories"].get(tag.repository, tag.name) == tag.name:
        aliases.append(tag.repository)
    licence = find_licence(tag.repository, tag.tag, family, additions["licences"])
    figures = sources.other_figures.get(tag.name, {}) | pick_figures(tag, sources.results)
    usual = "quick_gelu" if tag.is_quick else "gelu"
    return {
        "name": tag.name,
        "architecture": tag.architecture,
        "aliases": sorted(aliases),
        "repository": tag.repository,
        "layout": "open_clip",
        "weight_files": tag.weight_files,
        "activation": usual if family in KNOWN_ACTIVATION else None,
        "preprocessing": {
            "resize": tag.pretrained["resize_mode"],
            "interpolation": tag.pretrained["interpolation"],
            "mean": tag.pretrained["mean"],
            "std": tag.pretrained["std"],
        },
        "licence": licence.get("licence"),
        "attribution": licence.get("attribution"),
        "ready_export": find_ready_export(tag, additions["ready_exports"], left_out),
        "published": figures or None,
    }


def find_licence(repository: str, tag: str, family: str, licences: list[Fields]) -> Fields:
    """What is known of the licence of the weights, or nothing."""
    for row in licences:
        in_family = family in (row["families"] or [family])
        if in_family and repository.startswith(row["repository"]) and tag in (row["tags"] or [tag]):
            return row
    return {}


def find_ready_export(tag: Tag, layouts: Fields, left_out: dict[str, str]) -> Fields | None:
    """The hub's ONNX export of a model; refused where it was made with the other GELU."""
    for layout, table in layouts.items():
        repository = table["repositories"].get(tag.name)
        if repository is None:
            continue
        # open_clip itself has always given OpenAI's own weights their QuickGELU.
        is_quick = "-quickgelu__" in repository or (tag.tag == "openai" and tag.is_quick)
        if layout == "open_clip" and is_quick != tag.is_quick:
            left_out[repository] = f"made with another activation than the weights' ({tag.name})"
            return None
        return {"repository": repository, "layout": layout}
    return None


def add_models(architectures: dict[str, Fields], entries: list[Fields], sources: Sources) -> None:
    """Append the models that open_clip's table does not have."""
    known = {entry["name"]: entry for entry in entries}
    exports = sources.additions["ready_exports"]["transformers"]["repositories"]
    for model in sources.additions["models"]:
        like = architectures[model["like"]]
        family = model.get("family", like["family"])
        architecture = model["like"]
        if "context_length" in model:
            architecture = model["name"]
            architectures[architecture] = lengthen(like, model)
        licence = find_licence(model["name"], "", family, sources.additions["licences"])
        export = exports.get(model["name"])
        twin = known[model["figures_of"]] if model["figures_of"] else None
        entries.append(
            {
                "name": model["name"],
                "architecture": architecture,
                "aliases": model.get("aliases", []),
                "repository": model["name"],
                "layout": model["layout"],
                "weight_files": model["weight_files"],
                "activation": "quick_gelu" if model["layout"] == "openai" else None,
                "preprocessing": preprocessing_of(model["layout"]),
                "licence": licence.get("licence"),
                "attribution": licence.get("attribution"),
                "ready_export": export and {"repository": export, "layout": "transformers"},
                "published": twin["published"]
                if twin
                else sources.other_figures.get(model["name"]),
            }
        )


def lengthen(like: Fields, model: Fields) -> Fields:
    """An architecture with a longer table of text positions."""
    more = model["context_length"] - like["text"]["context_length"]
    return like | {
        "family": model["family"],
        "text": like["text"] | {"context_length": model["context_length"]},
        "text_parameters": like["text_parameters"] + more * model["text_width"],
        # The published files hold a second table of positions.
        "other_parameters": 1 + model["context_length"] * model["text_width"],
        "config": None,
    }


def preprocessing_of(layout: str) -> Fields:
    """What the catalogue shows; the checkpoint's own files have the last word."""
    half = [0.5, 0.5, 0.5]
    if layout == "transformers":
        return {"resize": "squash", "interpolation": "bilinear", "mean": half, "std": half}
    return {"resize": "shortest", "interpolation": "bicubic"}


def write_catalog(
    path: Path, head: Fields, architectures: dict[str, Fields], entries: list[Fields]
) -> None:
    """One line an entry, so that a change of one model is a change of one line."""
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    shapes = [f"    {json.dumps(name)}: {json.dumps(row)}" for name, row in architectures.items()]
    rows = [f"    {json.dumps(entry)}" for entry in entries]
    text = "\n".join(
        [
            "{", *lines,
            '  "architectures": {', ",\n".join(shapes), "  },",
            '  "entries": [', ",\n".join(rows), "  ]",
            "}",
        ]
    )  # fmt: skip
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
