"""What others have published of the models: accuracies, recalls, sizes of text towers."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path
from typing import Any

from recipes.catalog.open_clip_tables import Tag

FIGURES = {
    "imagenet_top1": "ImageNet 1k",
    "flickr30k_text_to_image_r1": "Flickr image retr. R@1",
    "flickr30k_image_to_text_r1": "Flickr text retr. R@1",
    "coco_text_to_image_r1": "MSCOCO image retr. R@1",
    "coco_image_to_text_r1": "MSCOCO text retr. R@1",
}
RESULT_FILES = ("openclip_results.csv", "openclip_retrieval_results.csv")
PROFILE_FILE = "model_profile.csv"

Rows = dict[tuple[str, str], dict[str, str]]


def read_results(docs: Path) -> Rows:
    """open_clip's own figures of each model and tag."""
    rows: Rows = {}
    for file in RESULT_FILES:
        for row in _read(docs / file):
            rows.setdefault((row["name"], row["pretrained"]), {}).update(row)
    return rows


def read_text_sizes(docs: Path) -> dict[str, int]:
    """Parameters of each architecture's text tower, to the nearest ten thousand."""
    rows = _read(docs / PROFILE_FILE)
    return {row["model"]: round(float(row["text_mparams"]) * 1e6) for row in rows}


def pick_figures(tag: Tag, results: Rows) -> dict[str, float]:
    """The figures measured with the right activation."""
    quick = results.get((f"{tag.architecture}-quickgelu", tag.tag)) if tag.is_quick else None
    row = quick or results.get((tag.architecture, tag.tag), {})
    return {key: float(row[column]) for key, column in FIGURES.items() if row.get(column)}


def read_additions(tables: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The figures of other sources, from per cent."""
    return {
        name: {key: round(value / 100, 4) for key, value in figures.items()}
        for table in tables
        for name, figures in table["per_cent"].items()
    }


def describe_sources(docs: Path) -> str:
    """Name the files and the commit that the figures were read from."""
    command = ["git", "-C", str(docs), "log", "-1", "--format=%H"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    commit = done.stdout.strip() or "an unknown commit"
    return f"mlfoundations/open_clip docs/{{{','.join((*RESULT_FILES, PROFILE_FILE))}}} at {commit}"


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
