"""How fast could a ViT-B/32 image tower be on this processor, and how near to that are we?

    clipworks convert WEIGHTS --out B32; clipworks convert B32 --out B32-INT8 --precision int8
    python benchmarks/image_tower_ceiling.py --fp32 B32 --int8 B32-INT8

Three things are measured, in turns, on one thread and in that thread's CPU time, so that other work
on the machine disturbs little: the multiply-adds that a core does on registers alone
(`chip_rates.c`), the tower's matrix products in the libraries that offer them, and whole towers:
open_clip's, eager, in float32, and ours. Products at the chip's rate, and all else for nothing, are
the ceiling. Needs gcc, AVX-512 with VNNI and BF16, torch and open_clip.
"""

from __future__ import annotations

import argparse
import ctypes
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from peers.peer_run import prepare_torch
from rich.table import Table

from clipworks.cli.console import result_console

HERE = Path(__file__).parent
# Of a ViT-B/32: (rows a picture, in, out, how often); the last MLP and the last projection of
# attention run on one token, as our graphs have them.
PRODUCTS = {
    "patches": (49, 3072, 768, 1),
    "queries, keys, values": (50, 768, 2304, 12),
    "attention's projection": (50, 768, 768, 11),
    "MLP, up": (50, 768, 3072, 11),
    "MLP, down": (50, 3072, 768, 11),
}
ATTENTION_ADDS = 12 * 2 * 50 * 50 * 768  # a picture's; in float in every graph
Work = Callable[[], object]


def main() -> None:
    """Measure, and print three tables."""
    options = parse_options()
    print_rates(chip := measure_chip())
    torch = prepare_torch(1)
    with tempfile.TemporaryDirectory() as scratch:
        works = dict(product_works(torch, options.batch, Path(scratch)))
        print_products(fastest(works, options.rounds), options.batch, chip)
    works = dict(tower_works(torch, options))
    print_towers(fastest(works, options.rounds), options.batch, chip)


def measure_chip() -> dict[str, float]:
    """Multiply-adds a second of one core, by precision."""
    with tempfile.TemporaryDirectory() as scratch:
        library = Path(scratch) / "chip_rates.so"
        flags = ["-O2", "-march=native", "-shared", "-fPIC"]
        subprocess.run(["gcc", *flags, HERE / "chip_rates.c", "-o", library], check=True)
        loaded = ctypes.CDLL(str(library))
        rates = {}
        for precision in ("fp32", "bf16", "int8"):
            function = loaded[f"{precision}_rate"]
            function.restype, function.argtypes = ctypes.c_double, [ctypes.c_long]
            rates[precision] = max(function(1_000_000) for _ in range(10))
    return rates


def product_works(torch, batch: int, folder: Path) -> Iterator[tuple[tuple[str, str], Work]]:  # noqa: ANN001 - the module
    """Each product in each library, as (product, library)."""
    random = np.random.default_rng(0)
    for name, (rows, inner, outer, _) in PRODUCTS.items():
        x = random.normal(size=(batch * rows, inner)).astype(np.float32)
        weight = random.normal(size=(inner, outer)).astype(np.float32)
        eight = np.clip(np.rint(20 * weight), -127, 127).astype(np.int8)
        linear = torch.nn.Linear(inner, outer).bfloat16()
        given = torch.from_numpy(x).bfloat16()
        yield (name, "ONNX Runtime fp32"), session_work("MatMul", x, [weight], folder)
        yield (name, "torch bf16"), inference(torch, linear, given)
        unsigned = np.clip(np.rint(20 * x + 128), 0, 255).astype(np.uint8)
        yield (
            (name, "ONNX Runtime int8, bare"),
            session_work("MatMulInteger", unsigned, [eight, np.array(128, np.uint8)], folder),
        )
        scale = np.full(outer, 0.05, np.float32)
        bias = np.zeros(outer, np.float32)
        yield (
            (name, "ONNX Runtime int8, with rounding"),
            session_work("DynamicQuantizeMatMul", x, [eight, scale, None, bias], folder),
        )


def session_work(
    kind: str, x: np.ndarray, constants: list[np.ndarray | None], folder: Path
) -> Work:
    """One operator in ONNX Runtime, its constants in the graph."""
    domain = "com.microsoft" if kind == "DynamicQuantizeMatMul" else ""
    names = ["" if one is None else f"c{number}" for number, one in enumerate(constants)]
    node = helper.make_node(kind, ["x", *names], ["y"], domain=domain)
    given = [(one, name) for one, name in zip(constants, names, strict=True) if one is not None]
    result = TensorProto.INT32 if kind == "MatMulInteger" else TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        kind,
        [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)],
        [helper.make_tensor_value_info("y", result, None)],
        [numpy_helper.from_array(array, name) for array, name in given],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    path = folder / "product.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    session = open_session(path)
    return lambda: session.run(None, {"x": x})


def tower_works(torch, options: argparse.Namespace) -> Iterator[tuple[str, Work]]:  # noqa: ANN001 - the module
    """Whole towers on one batch."""
    import open_clip

    model = open_clip.create_model(options.architecture).eval()
    pixels = np.random.default_rng(0).normal(size=(options.batch, 3, 224, 224)).astype(np.float32)
    yield "open_clip, eager, fp32", inference(torch, model.encode_image, torch.from_numpy(pixels))
    for precision in ("fp32", "int8"):
        session = open_session(getattr(options, precision) / "image.onnx")
        yield (
            f"clipworks, onnx, {precision}",
            lambda session=session: session.run(None, {"pixels": pixels}),
        )


def inference(torch, function: Callable, given: object) -> Work:  # noqa: ANN001 - the module
    """A function of torch, without gradients."""

    def work() -> object:
        with torch.inference_mode():
            return function(given)

    return work


def open_session(path: Path) -> ort.InferenceSession:
    """One thread, so that the caller's CPU time is all of it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def fastest(works: dict, rounds: int) -> dict:
    """Seconds of CPU time of each work: the least of all rounds, in which they take turns."""
    times = {key: float("inf") for key in works}
    for _ in range(rounds):
        for key, work in works.items():
            begin = time.thread_time()
            work()
            times[key] = min(times[key], time.thread_time() - begin)
    return times


def adds_of(name: str) -> int:
    """Multiply-adds of a product for one picture, every time it stands in the tower."""
    rows, inner, outer, count = PRODUCTS[name]
    return rows * inner * outer * count


def print_rates(chip: dict[str, float]) -> None:
    """What a core does on registers."""
    for precision, rate in chip.items():
        print(f"{precision}: {rate / 1e9:.1f} thousand million multiply-adds a second and core")


def print_products(times: dict[tuple[str, str], float], batch: int, chip: dict[str, float]) -> None:
    """Each library's rate by product, and as a share of the chip's."""
    libraries = list(dict.fromkeys(library for _, library in times))
    table = Table("product", *libraries, title=f"1e9 multiply-adds a second, batch {batch}")
    for name, (rows, inner, outer, _) in PRODUCTS.items():
        adds = batch * rows * inner * outer
        cells = []
        for library in libraries:
            rate = adds / times[name, library]
            peak = chip[next(one for one in chip if one in library)]
            cells.append(f"{rate / 1e9:.0f} ({rate / peak:.0%})")
        table.add_row(name, *cells)
    result_console().print(table)


def print_towers(times: dict[str, float], batch: int, chip: dict[str, float]) -> None:
    """Whole towers, then the ceilings that the chip sets to ours."""
    reference = times["open_clip, eager, fp32"]
    table = Table("image tower", "ms a picture", "against open_clip", title=f"batch {batch}")
    for name, seconds in times.items():
        table.add_row(name, f"{1e3 * seconds / batch:.1f}", f"{reference / seconds:.2f}")
    adds = sum(map(adds_of, PRODUCTS))
    for precision, rate in chip.items():
        least = (adds / rate + ATTENTION_ADDS / chip["fp32"]) * batch
        name = f"ceiling, {precision}: products at the chip's rate, all else free"
        table.add_row(name, f"{1e3 * least / batch:.1f}", f"{reference / least:.2f}")
    result_console().print(table)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--fp32", type=Path, required=True, help="our bundle of a ViT-B/32")
    parser.add_argument("--int8", type=Path, required=True, help="the same in int8")
    parser.add_argument("--architecture", default="ViT-B-32")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=30)
    return parser.parse_args()


if __name__ == "__main__":
    main()
