"""Render the catalogue to one array and one table a split, and report what was dropped."""

from __future__ import annotations

import argparse
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.progress import track

from recipes.pictograms.catalogue import Catalogue, Entry, build_catalogue
from recipes.pictograms.drawings import Drawing
from recipes.pictograms.nearness import find_copies
from recipes.pictograms.pictures import SIZE_PX, draw
from recipes.pictograms.rendering_cache import Outcome, RenderingCache, digest
from recipes.pictograms.sources import DEFAULT_DATA, DEFAULT_WORK

CHUNK = 64
CLIP_ART = ("openclipart-svg",)
NOT_DRAWN: Outcome = (b"", "not drawn")
Rows = list[tuple[Entry, bytes]]


def draw_or_explain(drawing: Drawing) -> Outcome:
    """Return a picture's pixels, or no pixels and the reason."""
    try:
        return draw(drawing).tobytes(), ""
    except Exception as error:  # noqa: BLE001 - the border to other people's files; it is reported
        return b"", f"{type(error).__name__}: {error}"


def render_all(entries: list[Entry], *, cache: Path, workers: int) -> list[Outcome]:
    """Render what the cache lacks in several processes, with a progress bar."""
    drawings = {digest(entry.drawing): entry.drawing for entry in entries}
    with RenderingCache(cache) as kept, ProcessPoolExecutor(workers) as pool:
        outcomes = {key: kept.get(key) for key in drawings}
        missing = [key for key, outcome in outcomes.items() if outcome is None]
        drawn = pool.map(draw_or_explain, [drawings[key] for key in missing], chunksize=CHUNK)
        progress = track(drawn, total=len(missing), description="rendering")
        for key, outcome in zip(missing, progress, strict=True):
            outcomes[key] = outcome
            kept.put(key, outcome)
    return [outcomes[digest(entry.drawing)] or NOT_DRAWN for entry in entries]


def sort_out(
    entries: list[Entry], outcomes: Iterable[Outcome]
) -> tuple[dict[str, Rows], list[dict[str, str]]]:
    """Group good pictures by split; list broken, blank and repeated ones with the reason."""
    splits: dict[str, Rows] = defaultdict(list)
    dropped = []
    seen: set[tuple[str, str, bytes]] = set()
    for entry, (pixels, reason) in zip(entries, outcomes, strict=True):
        identity = (entry.drawing.source, entry.concept, pixels)
        if not reason and identity in seen:
            reason = "the same picture of the same concept again"
        if reason:
            row = {"source": entry.drawing.source, "key": entry.drawing.key, "reason": reason}
            dropped.append(row)
            continue
        seen.add(identity)
        splits[entry.split].append((entry, pixels))
    return splits, dropped


def drop_copies(splits: dict[str, Rows]) -> list[dict[str, str]]:
    """Take copies of training clip art out of the outside test; both drew from one library."""
    trained = [pixels for entry, pixels in splits["train"] if entry.drawing.source in CLIP_ART]
    if not trained or not splits["outside"]:
        return []
    rows = splits["outside"]
    copies = find_copies(stack([pixels for _, pixels in rows]), stack(trained))
    splits["outside"] = [row for row, copy in zip(rows, copies, strict=True) if not copy]
    reason = "nearly the same as a training picture"
    return [
        {"source": entry.drawing.source, "key": entry.drawing.key, "reason": reason}
        for (entry, _), copy in zip(rows, copies, strict=True)
        if copy
    ]


def stack(pictures: list[bytes]) -> np.ndarray:
    """Return pictures as one array (n, 80, 80, 4)."""
    return np.frombuffer(b"".join(pictures), np.uint8).reshape(-1, SIZE_PX, SIZE_PX, 4)


def write_split(folder: Path, rows: Rows) -> None:
    """Write `pictures.npy` (n, 80, 80, 4) and `pictures.parquet`, row for row."""
    folder.mkdir(parents=True)
    shape = (len(rows), SIZE_PX, SIZE_PX, 4)
    array = np.lib.format.open_memmap(folder / "pictures.npy", "w+", np.uint8, shape)
    for index, (_, pixels) in enumerate(rows):
        array[index] = np.frombuffer(pixels, np.uint8).reshape(SIZE_PX, SIZE_PX, 4)
    array.flush()
    entries = [entry for entry, _ in rows]
    columns = {
        "row": pa.array(range(len(rows)), pa.int32()),
        "picture_id": [f"{entry.drawing.source}/{entry.drawing.key}" for entry in entries],
        "source": [entry.drawing.source for entry in entries],
        "key": [entry.drawing.key for entry in entries],
        "concept": [entry.concept for entry in entries],
        "title": [entry.drawing.title for entry in entries],
        "keywords": pa.array([entry.drawing.keywords for entry in entries], pa.list_(pa.string())),
        "is_flag": [entry.is_flag for entry in entries],
        "held_out": [entry.held_out for entry in entries],
        "split": [entry.split for entry in entries],
    }
    pq.write_table(pa.table(columns), folder / "pictures.parquet")


def write_report(
    folder: Path,
    catalogue: Catalogue,
    splits: dict[str, Rows],
    dropped: list[dict[str, str]],
) -> None:
    """Write `report.json`: counts by source and split, what was not matched, what was dropped."""
    pictures = {
        split: Counter(entry.drawing.source for entry, _ in rows) for split, rows in splits.items()
    }
    concepts = {split: len({entry.concept for entry, _ in rows}) for split, rows in splits.items()}
    report = {
        "pictures": pictures,
        "concepts": concepts,
        "sources": {name: asdict(count) for name, count in catalogue.counts.items()},
        "dropped": dropped,
    }
    (folder / "report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    for split, counts in pictures.items():
        total = sum(counts.values())
        print(f"{split:12}{total:7} pictures {concepts[split]:6} concepts  {dict(counts)}")
    print(f"dropped     {len(dropped):7}")


def render_data(work: Path, data: Path, *, workers: int) -> None:
    """Render the catalogue to `data`, which appears only when it is whole."""
    catalogue = build_catalogue(work)
    outcomes = render_all(catalogue.entries, cache=work / "renderings.sqlite", workers=workers)
    splits, dropped = sort_out(catalogue.entries, outcomes)
    dropped += drop_copies(splits)
    partial = data.with_name(f"{data.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for split, rows in splits.items():
        write_split(partial / split, rows)
    write_report(partial, catalogue, splits, dropped)
    shutil.rmtree(data, ignore_errors=True)
    partial.rename(data)


def main() -> None:
    """Render everything that was fetched."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=DEFAULT_WORK, help="what fetch.py brought")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="where the data goes")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    args = parser.parse_args()
    render_data(args.work, args.data, workers=args.workers)


if __name__ == "__main__":
    main()
