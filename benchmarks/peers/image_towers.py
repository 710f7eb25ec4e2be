r"""One image tower in our backends and in other libraries: the same weights and pictures, in turns.

    clipworks convert WEIGHTS --out BUNDLE [and others: --precision int8, bf16]
    python benchmarks/peers/image_towers.py BUNDLE [BUNDLE...] --weights WEIGHTS \
        --architecture ViT-B-32 --backends onnx,openvino --peers peers/bin/python \
        --clip-retrieval peer/bin/python --pictures FOLDER [--batches 8,32] [--out DIR]

The first row, open_clip in float32, is what speed and accuracy are compared with. The README beside
this file says how to make the peers' environments.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from clipworks.bench.bench_report import make_report, write_csv
from clipworks.bench.contenders import Contender, cross, inputs_of
from clipworks.bench.rounds import Heat, run_rounds
from clipworks.bench.timing import write_inputs
from clipworks.cli.bench import results_table
from clipworks.cli.console import result_console
from clipworks.encoders.bundle import Bundle
from clipworks.encoders.loading import find_bundle
from clipworks.files import write_json_atomic

HERE = Path(__file__).parent
VISION = {  # as transformers calls the sizes
    "ViT-B-32": {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "patch_size": 32,
        "projection_dim": 512,
    }
}


def main() -> None:
    """Run the rounds, and print the table."""
    options = parse_options()
    bundles = [find_bundle(name) for name in options.bundles]
    pictures = sorted(options.pictures.iterdir())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        count = max(64, *options.batches)
        pixels = inputs_of(bundles[0], "image", pictures, count)
        inputs = write_inputs(folder / "pixels.npy", pixels)
        heats = [
            Heat(contender, "image", size, inputs, folder / f"{number}_{size}.npy")
            for number, contender in enumerate(contenders(options, bundles))
            for size in options.batches
        ]
        os.environ["PYTHONPATH"] = str(HERE.parents[1] / "src")
        results = run_rounds(
            heats,
            num_rounds=options.rounds,
            seconds=options.seconds,
            num_threads=options.threads,
            tell=lambda heat: print(heat.contender.label, heat.batch_size, flush=True),
        )
        rows = make_report(results)
    result_console().print(results_table(rows))
    for row in rows:
        if row.error:
            print(f"{row.backend} {row.precision}: {row.error}")
    if options.out:
        write_csv(options.out / "image_towers.csv", rows)
        write_json_atomic(options.out / "image_towers.json", [asdict(row) for row in rows])


def contenders(options: argparse.Namespace, bundles: list[Bundle]) -> Iterator[Contender]:
    """The peers whose environments are given, then our own."""
    weights = {"weights": str(options.weights.resolve()), "architecture": options.architecture}
    if options.peers:
        for precision in ("fp32", "bf16"):
            given = {**weights, "precision": precision}
            yield peer(options.peers, "open_clip", precision, options.architecture, given)
        given = {**weights, "vision": VISION[options.architecture]}
        yield peer(options.peers, "transformers", "fp32", options.architecture, given)
    if options.clip_retrieval:
        name = "clip-retrieval"
        yield peer(options.clip_retrieval, name, "fp32", options.architecture, weights)
    if options.onnxruntime:
        given = {"graph": str(bundles[0].image_graph.resolve())}
        yield peer(options.onnxruntime, "onnxruntime", "fp32", options.architecture, given)
    for _, contender in cross(bundles, options.backends, options.precisions, "cpu"):
        yield contender


def peer(
    python: Path, library: str, precision: str, model: str, given: dict[str, Any]
) -> Contender:
    """Another library in an environment of its own."""
    command = (str(python), str(HERE / "peer_run.py"))
    encoder = {"library": library, **given}
    return Contender(model, library, precision, command=command, encoder=encoder)


def parse_options() -> argparse.Namespace:
    """Read the command line."""

    def words(given: str) -> list[str]:
        return given.split(",")

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundles", nargs="+", help="of the same weights, in any precision")
    parser.add_argument("--weights", type=Path, required=True, help="an open_clip checkpoint")
    parser.add_argument("--architecture", default="ViT-B-32")
    parser.add_argument("--backends", type=words, default=["onnx"])
    parser.add_argument(
        "--precisions",
        type=lambda given: [None if word == "own" else word for word in given.split(",")],
        default=[None],
    )
    parser.add_argument("--peers", type=Path, help="a Python with open_clip and transformers")
    parser.add_argument("--clip-retrieval", type=Path, help="a Python with clip-retrieval")
    parser.add_argument("--onnxruntime", type=Path, help="a Python with onnxruntime")
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--batches", type=lambda s: [int(n) for n in s.split(",")], default=[8])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
