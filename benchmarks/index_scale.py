"""What `clipworks index` takes and finds at several sizes, and beside it autofaiss.

Rows are drawn as CLIP's lie (benchmarks/index_rows.py), 512 wide, float16 on disk. Both programs
build in processes of their own, one after the other. Then both indexes are set to the same
recall@10 of picture and of text queries, the least effort that reaches it, and asked in turn, query
by query, in one process with one FAISS.

    python benchmarks/index_scale.py --sizes 10000 100000 1000000 --work /tmp/rows \
        [--peer peers/bin/python] [--json out.json] [--plot out.svg]

On a machine that others use too, seconds of the processor are the steadier ones; waiting threads of
FAISS count among them, for both programs alike.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.index_rows import draw_pairs, make_space, write_rows
from clipworks.plots.scale_plot import ScalePoint, draw_scale
from clipworks.search.backends.faiss_index import FaissIndex
from clipworks.search.folder_contents import read_contents
from clipworks.search.held_out_queries import QuerySet, find_exactly
from clipworks.search.index import AbstractIndex
from clipworks.search.index_tuning import Trial, tune
from clipworks.search.refined_index import RefinedIndex

QUERIES, QUERY_SEED = 400, 10_000
CURVE = (0.9, 0.95, 0.98, 0.99, 0.997)
ROOT = Path(__file__).parents[1]

Times = dict[str, dict[str, list[float]]]
"""Program, kind of queries, milliseconds of each query."""


@dataclass(frozen=True)
class Built:
    """What one program took and made.

    Attributes:
        program: clipworks or autofaiss.
        rows: in the index.
        kind: of index.
        build_s: seconds of the clock, with the program's own tuning and measuring.
        cpu_s: seconds of the processor.
        peak_bytes: of memory, files that are mapped included.
        size_bytes: of the index.
        recall_at_10: of each kind of queries, as tuned.
        p50_ms: of each kind of queries.
    """

    program: str
    rows: int
    kind: str
    build_s: float
    cpu_s: float
    peak_bytes: int
    size_bytes: int
    recall_at_10: dict[str, float]
    p50_ms: dict[str, float]


def main() -> None:
    """Measure each size."""
    options = parse_options()
    done: list[Built] = []
    for size in options.sizes:
        folder = options.work / f"rows_{size}"
        if not folder.exists():
            write_rows(folder, make_space(), size)
        done += compare(folder, size, options)
        for built in done[-2 if options.peer else -1 :]:
            print(json.dumps(asdict(built)), flush=True)
    if options.plot:
        draw(done, options.plot)
    if options.json:
        options.json.write_text(json.dumps([asdict(built) for built in done], indent=2) + "\n")


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--work", type=Path, required=True, help="where rows are written")
    parser.add_argument("--kind", default="auto")
    parser.add_argument("--memory", default="6G")
    parser.add_argument("--recall", type=float, default=0.95)
    parser.add_argument("--queries", default="both", help="what is asked: image, text or both")
    parser.add_argument("--peer", help="python of an environment with autofaiss")
    parser.add_argument("--curve", action="store_true", help="also at other recalls")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="a figure: .svg or .png")
    return parser.parse_args()


def draw(done: list[Built], path: Path) -> None:
    """Draw what it took."""
    points = [
        ScalePoint(
            built.program,
            built.rows,
            {
                "build, tuned and measured, s": built.build_s,
                "index, MB": built.size_bytes / 1e6,
                "peak memory, MB": built.peak_bytes / 1e6,
                "text query, p50 ms": built.p50_ms["text->image"],
            },
        )
        for built in done
    ]
    draw_scale(points, [path], title="Indexes of 512-wide rows at one recall@10", size="rows")


def compare(folder: Path, size: int, options: argparse.Namespace) -> list[Built]:
    """Build with each program, and ask both in turn."""
    took = {"clipworks": build_ours(folder, options)}
    indexes: dict[str, FaissIndex] = {"clipworks": FaissIndex.open(folder / "image.index")}
    paths = {"clipworks": folder / "image.index"}
    if options.peer:
        paths["autofaiss"] = folder.with_name(f"autofaiss_{size}.index")
        script = [ROOT / "benchmarks" / "peers" / "autofaiss_build.py", folder / "img_emb"]
        took["autofaiss"] = run_json(
            [options.peer, *script, paths["autofaiss"], "--memory", options.memory]
        )
        indexes["autofaiss"] = FaissIndex.open(paths["autofaiss"])
    contents = read_contents(folder)
    rows, sets = contents.rows["image"], draw_new_queries()
    trial = Trial(rows, sets, find_exactly(sets, rows, lambda *_: None))
    if options.curve:
        print_curve(indexes, trial)
    ready = tune_all(indexes, trial.asked_by(options.queries), options.recall)
    times = ask_in_turn(ready, trial)
    return [
        Built(
            program=program,
            rows=size,
            kind=index.kind,
            size_bytes=paths[program].stat().st_size,
            recall_at_10={
                each.name: round(trial.recall(index, number, 10), 4)
                for number, each in enumerate(sets)
            },
            p50_ms={name: round(float(np.median(t)), 3) for name, t in times[program].items()},
            **took[program],
        )
        for program, index in ready.items()
    ]


def draw_new_queries() -> list[QuerySet]:
    """Pictures and texts that are not in the folder.

    A row of the folder would be no fair query: in a graph it has its nearest rows as neighbours.
    """
    pictures, texts = draw_pairs(make_space(), QUERIES, QUERY_SEED)
    return [
        QuerySet("image->image", pictures, None, "pictures that are not in the folder"),
        QuerySet("text->image", texts, None, "texts that are not in the folder"),
    ]


def tune_all(
    indexes: dict[str, FaissIndex], trial: Trial, recall: float
) -> dict[str, AbstractIndex]:
    """Set each index to the least effort that finds so much."""
    ready: dict[str, AbstractIndex] = {}
    for program, index in indexes.items():
        factor = tune(index, trial, recall).refinement
        ready[program] = RefinedIndex(index, trial.rows, factor) if factor else index
    return ready


def print_curve(indexes: dict[str, FaissIndex], trial: Trial) -> None:
    """Print what single queries take at several recalls, tuned to each kind of queries alone."""
    for asked in ("image", "text"):
        alone = trial.asked_by(asked)
        (each,) = alone.sets
        for wanted in CURVE:
            ready = tune_all(indexes, alone, wanted)
            times = ask_in_turn(ready, alone)
            found = {name: round(alone.recall(index, 0, 10), 4) for name, index in ready.items()}
            p50_ms = {
                name: round(float(np.median(taken[each.name])), 3) for name, taken in times.items()
            }
            print(json.dumps({"queries": each.name, "recall": found, "p50_ms": p50_ms}), flush=True)


def build_ours(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run the command in a process of its own."""
    program = (
        "import json, re, sys, time; begin, cpu = time.perf_counter(), time.process_time()\n"
        "from clipworks.cli.main import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "state = open('/proc/self/status').read()\n"  # getrusage counts the parent's pages too
        "peak = int(re.search(r'VmHWM:\\s+(\\d+)', state)[1]) * 1024\n"
        "took = {'build_s': time.perf_counter() - begin, 'cpu_s': time.process_time() - cpu}\n"
        "print(json.dumps({**took, 'peak_bytes': peak}))\n"
    )
    settings = [
        "--kind", options.kind, "--queries", options.queries, "--memory", options.memory,
        "--recall", options.recall,
    ]  # fmt: skip
    return run_json([sys.executable, "-c", program, "index", folder, *settings])


def run_json(command: list[Any]) -> dict[str, Any]:
    """Run a program, and read the last line that it prints."""
    outside = dict(os.environ)
    if command[0] != sys.executable:
        outside.pop("PYTHONPATH", None)
    words = [str(part) for part in command]
    done = subprocess.run(words, capture_output=True, text=True, env=outside)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def ask_in_turn(
    indexes: dict[str, AbstractIndex], trial: Trial
) -> dict[str, dict[str, list[float]]]:
    """Ask all indexes each query, one after the other; times in milliseconds."""
    times: Times = {program: {} for program in indexes}
    for each in trial.sets:
        for number in range(-20, len(each.queries)):  # the first twenty warm up
            for program, index in indexes.items():
                query = each.queries[number % len(each.queries)][None]
                begin = time.perf_counter()
                index.search(query, 10)
                if number >= 0:
                    took = (time.perf_counter() - begin) * 1e3
                    times[program].setdefault(each.name, []).append(took)
    return times


if __name__ == "__main__":
    main()
