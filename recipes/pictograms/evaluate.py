"""Report on a trained model: python -m recipes.pictograms.evaluate --run FOLDER [--final]."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from clipworks.files import atomic_path, write_bytes_atomic, write_json_atomic
from clipworks.inputs.specs import TextSpec
from clipworks.inputs.text_tokenizer import TextTokenizer
from clipworks.models.checkpoints import load_checkpoint
from clipworks.models.clip import Clip
from recipes.pictograms.retrieval import NameTask, embed_pictures, embed_tokens, name_task
from recipes.pictograms.sources import DEFAULT_DATA
from recipes.pictograms.splits import Split, product_pixels, read_names, read_split
from recipes.pictograms.train import DEVELOPMENT_QUERIES, QUERIES

SHOWN = 5
THUMBNAIL_PX, LABEL_PX = 80, 260

Report = dict[str, Any]


@dataclass(frozen=True)
class TrainedModel:
    """What a run left.

    Attributes:
        clip: the model.
        tokenizer: its own.
    """

    clip: Clip
    tokenizer: TextTokenizer

    @property
    def image_size(self) -> int:
        """Pixels."""
        return self.clip.config.vision.image_size


def read_model(run: Path) -> TrainedModel:
    """Return the model of a run, which may still be going on."""
    specs = json.loads((run / "model.json").read_text(encoding="utf-8"))
    tokenizer = TextTokenizer(run / "tokenizer.json", TextSpec.from_json(specs["text"]))
    return TrainedModel(load_checkpoint(run / "weights.safetensors").model, tokenizer)


def name_metrics(model: TrainedModel, data: Path, split: str) -> dict[str, float]:
    """Return how well a split's pictures and all the names find each other."""
    task = name_task(read_split(data, split), read_names(data), model.tokenizer, model.image_size)
    return task.metrics(model.clip)


def title_metrics(model: TrainedModel, split: Split) -> dict[str, float]:
    """Return how well pictures from elsewhere and their own titles find each other."""
    titles = sorted({row["title"] for row in split.rows})
    none = np.zeros(len(titles), bool)
    task = NameTask(
        pixels=product_pixels(split, model.image_size),
        tokens=model.tokenizer(titles),
        right_name=np.array([titles.index(row["title"]) for row in split.rows]),
        is_flag=none,
        held_out=none,
    )
    found = task.metrics(model.clip)
    return {name: value for name, value in found.items() if name.startswith("all/")}


def answer_queries(
    model: TrainedModel, split: Split, queries: list[str]
) -> list[tuple[str, list[int]]]:
    """Return the rows of the best pictures for each query, the best first."""
    pictures = embed_pictures(model.clip, product_pixels(split, model.image_size))
    texts = embed_tokens(model.clip, model.tokenizer(queries))
    best = np.argsort(-(texts @ pictures.T), axis=1)[:, :SHOWN]  # [query shown]
    return [(query, rows.tolist()) for query, rows in zip(queries, best, strict=True)]


def development_metrics(model: TrainedModel, split: Split, names: list[str]) -> dict[str, float]:
    """Return for how many development queries an accepted picture is found, in percent.

    Args:
        model: the run's.
        split: the pictures.
        names: of the split's pictures.
    """
    accepted = json.loads(DEVELOPMENT_QUERIES.read_text(encoding="utf-8"))
    answers = answer_queries(model, split, list(accepted))
    right = np.array([[names[row] in accepted[query] for row in rows] for query, rows in answers])
    return {"r1": 100 * right[:, 0].mean(), f"r{SHOWN}": 100 * right.any(axis=1).mean()}


def draw_sheet(split: Split, answers: list[tuple[str, list[int]]], path: Path) -> None:
    """Draw each query and its pictures in a row."""
    size = (LABEL_PX + SHOWN * THUMBNAIL_PX, len(answers) * THUMBNAIL_PX)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for line, (query, rows) in enumerate(answers):
        top = line * THUMBNAIL_PX
        pen.text((8, top + THUMBNAIL_PX // 2 - 6), query, fill="black")
        for place, row in enumerate(rows):
            picture = Image.fromarray(np.asarray(split.pictures[row]), "RGBA")
            sheet.paste(picture, (LABEL_PX + place * THUMBNAIL_PX, top), picture)
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="PNG")


def make_report(model: TrainedModel, data: Path, *, final: bool, sheet: Path) -> Report:
    """Return all figures; the test style is touched only for the final report."""
    splits = {"validation": "Twemoji", "test": "OpenMoji"} if final else {"validation": "Twemoji"}
    report: Report = {
        "parameters": sum(value.numel() for value in model.clip.parameters()),
        "names": {style: name_metrics(model, data, name) for name, style in splits.items()},
    }
    if (data / "outside").exists():
        report["titles"] = {"Tux Paint stamps": title_metrics(model, read_split(data, "outside"))}
    validation = read_split(data, "validation")
    queries = json.loads(QUERIES.read_text(encoding="utf-8"))
    answers = answer_queries(model, validation, queries)
    draw_sheet(validation, answers, sheet)
    name_of = {name["concept"]: name["name"] for name in read_names(data)}
    names = [name_of[row["concept"]] for row in validation.rows]
    report["queries"] = {query: [names[row] for row in rows] for query, rows in answers}
    report["development"] = development_metrics(model, validation, names)
    return report


def as_markdown(report: Report, sheet: str) -> str:
    """Return the report for people."""
    lines = ["# The pictograms model", "", f"{report['parameters']:,} parameters.", ""]
    lines += ["R@1 / R@5 in percent.", "", "| pictures | candidates | picture to name |"]
    lines[-1] += " name to picture |"
    lines += ["| --- | --- | --- | --- |"]
    for style, found in (report["names"] | report.get("titles", {})).items():
        for view in dict.fromkeys(name.split("/")[0] for name in found):
            cells = (
                f"{found[f'{view}/{direction}/r1']:.1f} / {found[f'{view}/{direction}/r5']:.1f}"
                for direction in ("picture_to_name", "name_to_picture")
            )
            lines.append(f"| {style} | {view.replace('_', ' ')} | {' | '.join(cells)} |")
    lines += ["", "## Free queries", "", f"![the pictures]({sheet})", ""]
    lines += ["| query | best five |", "| --- | --- |"]
    lines += [f"| {query} | {', '.join(names)} |" for query, names in report["queries"].items()]
    found = report["development"]
    lines += ["", f"Of the development queries {found['r1']:.1f} % have a right picture first,"]
    lines += [f"{found[f'r{SHOWN}']:.1f} % one among the first {SHOWN}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="a folder of train.py")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--out", type=Path, help="gets report.json, report.md, queries.png")
    parser.add_argument("--final", action="store_true", help="test on OpenMoji too: only once")
    arguments = parser.parse_args()
    out = arguments.out or arguments.run / "report"
    sheet = out / "queries.png"
    model = read_model(arguments.run)
    report = make_report(model, arguments.data, final=arguments.final, sheet=sheet)
    write_json_atomic(out / "report.json", report)
    write_bytes_atomic(out / "report.md", as_markdown(report, sheet.name).encode())
    print(out / "report.md")


if __name__ == "__main__":
    main()
