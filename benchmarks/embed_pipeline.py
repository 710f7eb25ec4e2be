"""How much of the bare model's speed `clipworks embed` keeps.

Two runs take turns, round by round, on the same pictures and the same graph:

    plain      ONNX Runtime with its default options on arrays that lie ready in memory
    pipeline   `embed_folder`: list, read, decode, resize, embed, write, into an empty folder

    python benchmarks/embed_pipeline.py BUNDLE [--pictures FOLDER] [--rounds 5] [--batch-size 32]

The last line is the median over the rounds of pipeline / plain. On a machine that others use too,
the column "per core" (pictures per second of processor time, times cores) is the steadier one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from PIL import Image

from clipworks.devices import count_cores
from clipworks.embed.embed_settings import EmbedSettings
from clipworks.embed.pipeline import embed_folder
from clipworks.encoders.embedder import Embedder
from clipworks.encoders.loading import find_bundle, load

CORES = count_cores()


@dataclass(frozen=True)
class Pace:
    """Pictures per second of the clock, and per second of all cores' time."""

    per_s: float
    per_core_s: float


def main() -> None:
    """Run the rounds, and print a table and the ratio."""
    options = parse_options()
    bundle = find_bundle(options.bundle)
    settings = EmbedSettings(
        batch_size=options.batch_size,
        num_workers=options.workers,
        num_decoders=options.decoders,
        fast_decode=options.fast_decode,
    )
    embedder = load(bundle.folder, backend="onnx", num_threads=settings.threads_per_batch)
    with tempfile.TemporaryDirectory() as scratch:
        pictures = options.pictures or draw_pictures(Path(scratch) / "pictures", options)
        session = ort.InferenceSession(bundle.image_graph, providers=["CPUExecutionProvider"])
        batches = preload(pictures, embedder, options.batch_size)
        count = sum(len(batch) for batch in batches)
        rounds = []
        for number in range(options.rounds + 1):  # the first warms up and does not count
            out = Path(scratch) / f"out_{number}"
            plain = measure(lambda: run_plain(session, batches), count)
            ours = measure(
                lambda out=out: embed_folder(pictures, out, embedder, settings=settings), count
            )
            if number:
                rounds.append((plain, ours))
                print_round(number, plain, ours)
    summarize(rounds, model=bundle.card.name, count=count, options=options)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundle", help="a bundle's folder, or a model's name")
    parser.add_argument("--pictures", type=Path, help="a folder; by default pictures are drawn")
    parser.add_argument("--count", type=int, default=256, help="pictures to draw")
    parser.add_argument("--size", type=int, nargs=2, default=(500, 375), metavar=("W", "H"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--decoders", type=int, default=0)
    parser.add_argument("--fast-decode", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def draw_pictures(folder: Path, options: argparse.Namespace) -> Path:
    """Draw pictures with detail at every scale, so that they are as large as photographs."""
    folder.mkdir()
    random = np.random.default_rng(0)
    width, height = options.size
    for number in range(options.count):
        levels = np.full((height, width, 3), 128.0)
        for step, strength in ((64, 70), (16, 40), (4, 18), (1, 5)):
            grid = random.standard_normal((height // step + 2, width // step + 2, 3))
            levels += strength * np.stack(
                [stretch(grid[..., c], options.size) for c in range(3)], -1
            )
        picture = Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))
        picture.save(folder / f"{number:06}.jpg", quality=90)
    return folder


def stretch(grid: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """One channel's noise, smoothly enlarged."""
    image = Image.fromarray(grid.astype(np.float32))
    return np.asarray(image.resize(tuple(size), Image.Resampling.BICUBIC))


def preload(pictures: Path, embedder: Embedder, batch_size: int) -> list[np.ndarray]:
    """The pictures as the model takes them, in batches."""
    paths = sorted(path for path in pictures.rglob("*") if path.is_file())
    pixels = np.stack([embedder.read_pixels(path) for path in paths])
    return [pixels[start : start + batch_size] for start in range(0, len(pixels), batch_size)]


def run_plain(session: ort.InferenceSession, batches: list[np.ndarray]) -> None:
    """What anybody would write first."""
    name = session.get_inputs()[0].name
    for batch in batches:
        session.run(None, {name: batch})


def measure(work: Callable[[], object], count: int) -> Pace:
    """Time some work on `count` pictures."""
    begin, cpu_begin = time.perf_counter(), time.process_time()
    work()
    wall_s, cpu_s = time.perf_counter() - begin, time.process_time() - cpu_begin
    return Pace(count / wall_s, CORES * count / cpu_s)


def print_round(number: int, plain: Pace, ours: Pace) -> None:
    """One line of the table."""
    if number == 1:
        print("round   plain/s  pipeline/s  ratio   plain per core  pipeline per core  ratio")
    print(
        f"{number:5} {plain.per_s:9.1f} {ours.per_s:11.1f} {ours.per_s / plain.per_s:6.3f}"
        f" {plain.per_core_s:16.1f} {ours.per_core_s:18.1f}"
        f" {ours.per_core_s / plain.per_core_s:6.3f}",
        flush=True,
    )


def summarize(
    rounds: list[tuple[Pace, Pace]], *, model: str, count: int, options: argparse.Namespace
) -> None:
    """The medians."""
    wall = statistics.median(ours.per_s / plain.per_s for plain, ours in rounds)
    cores = statistics.median(ours.per_core_s / plain.per_core_s for plain, ours in rounds)
    result = {
        "model": model,
        "pictures": count,
        "batch_size": options.batch_size,
        "cores": CORES,
        "rounds": len(rounds),
        "plain_images_per_s": statistics.median(plain.per_s for plain, _ in rounds),
        "pipeline_images_per_s": statistics.median(ours.per_s for _, ours in rounds),
        "ratio": wall,
        "ratio_per_core": cores,
    }
    print(
        json.dumps(result)
        if options.json
        else f"pipeline / plain: {wall:.3f} of the clock, {cores:.3f} per core"
    )


if __name__ == "__main__":
    main()
