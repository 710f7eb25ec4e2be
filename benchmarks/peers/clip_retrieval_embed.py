r"""`clipworks embed` and `clip-retrieval inference`, in turns, on the same pictures and weights.

Both run as commands, cold, each into an empty folder. "command" is the time of the whole command;
"embedding" is what the command itself says of the time from its first picture to its last, without
imports and the loading of the model; "processor" is the command's time on all cores, which other
programs on the machine disturb least. Last, the two folders' embeddings are compared.

    python3 -m venv peer && peer/bin/pip install clip-retrieval==2.45.0 "setuptools<70"
    clipworks convert WEIGHTS --out BUNDLE
    python benchmarks/peers/clip_retrieval_embed.py --peer peer/bin/clip-retrieval \
        --weights WEIGHTS --architecture ViT-B-32 --bundle BUNDLE --pictures FOLDER
"""

from __future__ import annotations

import argparse
import json
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from clipworks.arrays import normalize_rows


@dataclass(frozen=True)
class Run:
    """One command's times, in seconds, and its pictures."""

    command_s: float
    processor_s: float
    embedding_s: float
    images: int


def main() -> None:
    """Run the rounds, and print a table and the difference between the embeddings."""
    options = parse_options()
    runs: dict[str, list[Run]] = {"clipworks": [], "clip-retrieval": []}
    with tempfile.TemporaryDirectory() as scratch:
        ours, theirs = Path(scratch) / "ours", Path(scratch) / "theirs"
        print("round  program         command s  processor s  embedding s  images/s of the command")
        for number in range(1, options.rounds + 1):
            for program, out, arguments in (
                ("clipworks", ours / str(number), our_command(options)),
                ("clip-retrieval", theirs / str(number), their_command(options)),
            ):
                run = time_command([*arguments, str(out)], out)
                runs[program].append(run)
                print(
                    f"{number:5}  {program:14} {run.command_s:10.1f} {run.processor_s:12.1f} "
                    f"{run.embedding_s:12.1f} "
                    f"{run.images / run.command_s:24.1f}",
                    flush=True,
                )
        difference = compare(ours / "1", theirs / "1")
    summarize(runs, difference)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peer", type=Path, required=True, help="the clip-retrieval command")
    parser.add_argument("--weights", type=Path, required=True, help="an open_clip checkpoint")
    parser.add_argument("--architecture", default="ViT-B-32")
    parser.add_argument("--bundle", type=Path, required=True, help="of the same checkpoint")
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--batch-size", type=int, default=0, help="0 for our default")
    parser.add_argument("--peer-batch-size", type=int, default=32)
    parser.add_argument("--peer-workers", type=int, default=2, help="processes that decode")
    parser.add_argument("--ours", default="", help="further options of clipworks embed")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def our_command(options: argparse.Namespace) -> list[str]:
    """All but the folder to write."""
    command = [sys.executable, "-m", "clipworks", "embed", str(options.pictures)]
    return [
        *command, "--model", str(options.bundle), "--batch-size", str(options.batch_size),
        *shlex.split(options.ours), "--out",
    ]  # fmt: skip


def their_command(options: argparse.Namespace) -> list[str]:
    """All but the folder to write."""
    model = f"open_clip:{options.architecture}/{options.weights.resolve()}"
    return [
        str(options.peer), "inference", "--input_dataset", str(options.pictures),
        "--clip_model", model, "--batch_size", str(options.peer_batch_size),
        "--num_prepro_workers", str(options.peer_workers), "--enable_text", "False",
        "--output_folder",
    ]  # fmt: skip


def time_command(command: list[str], out: Path) -> Run:
    """Run a command that writes an embedding folder."""
    begin, spent = time.perf_counter(), children_s()
    subprocess.run(command, check=True, capture_output=True)
    command_s, processor_s = time.perf_counter() - begin, children_s() - spent
    records = [json.loads(path.read_text()) for path in (out / "stats").glob("*.json")]
    # Both add up start and end times over batches or partitions; durations are what they share.
    embedding_s = sum(record["total_duration"] for record in records)
    images = sum(record["sample_count"] for record in records)
    return Run(command_s, processor_s, embedding_s, images)


def children_s() -> float:
    """Processor time of all commands so far, their own processes included."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare(ours: Path, theirs: Path) -> tuple[float, int]:
    """The lowest cosine of a picture's two embeddings, and how many pictures both have."""
    rows = [read_rows(folder) for folder in (ours, theirs)]
    shared = sorted(rows[0].keys() & rows[1].keys())
    first, second = (np.stack([part[name] for name in shared]) for part in rows)
    return float((first * second).sum(axis=1).min()), len(shared)


def read_rows(folder: Path) -> dict[str, np.ndarray]:
    """Each picture's embedding by its file's name."""
    arrays = [np.load(path) for path in sorted((folder / "img_emb").glob("*.npy"))]
    rows = normalize_rows(np.concatenate(arrays).astype(np.float32))  # halves are not quite unit
    tables = [pq.read_table(path) for path in sorted((folder / "metadata").glob("*.parquet"))]
    names = [Path(path).name for table in tables for path in table["image_path"].to_pylist()]
    return dict(zip(names, rows, strict=True))


def summarize(runs: dict[str, list[Run]], difference: tuple[float, int]) -> None:
    """The medians and the ratio."""
    medians = {
        program: statistics.median(run.command_s for run in done) for program, done in runs.items()
    }
    processor = {
        program: statistics.median(run.processor_s for run in done)
        for program, done in runs.items()
    }
    embedding = {
        program: statistics.median(run.images / run.embedding_s for run in done)
        for program, done in runs.items()
    }
    ours, theirs = medians["clipworks"], medians["clip-retrieval"]
    print(
        f"clipworks takes {ours:.1f} s, clip-retrieval {theirs:.1f} s: {theirs / ours:.2f} times\n"
        f"of the processor: {processor['clipworks']:.1f} and {processor['clip-retrieval']:.1f} s\n"
        f"while embedding: {embedding['clipworks']:.1f} and "
        f"{embedding['clip-retrieval']:.1f} images/s\n"
        f"lowest cosine of {difference[1]} pictures' two embeddings: {difference[0]:.6f}"
    )


if __name__ == "__main__":
    main()
