"""Timing one encoder, in a process that does nothing else.

Whoever is measured (our backends, or another library's script) is asked by one JSON document, and
answers by one: `RunOrder` in, `RunResult` out. Only NumPy and the standard library are needed here,
so that a peer's own environment can use this file too.

Axes: row (pictures or texts), dim (width of the joint space).
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

Tower = Literal["image", "text"]
Encode = Callable[[np.ndarray], np.ndarray]

_FEWEST_BATCHES = 3
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class RunOrder:
    """What one process is to measure.

    Attributes:
        tower: which of the two.
        inputs: a `.npy` file: pixels [row 3 h w] or tokens [row context].
        outputs: where the unit rows [row dim] of all inputs go, as `.npy`.
        batch_size: rows in one forward pass.
        seconds: how long to measure, at least; three batches at least, too.
        num_threads: of one forward pass; 0 for the library's own choice.
        encoder: what this kind of contender needs to know: a bundle, a backend, a precision.
    """

    tower: Tower
    inputs: str
    outputs: str
    batch_size: int
    seconds: float
    num_threads: int
    encoder: dict[str, Any]


@dataclass(frozen=True)
class RunResult:
    """What one process measured.

    Attributes:
        runtime: what ran, in its own words: "onnx (cpu)".
        load_s: from an empty process with its imports done to a tower that is ready.
        latencies_ms: of each batch that was timed, in order.
        peak_memory_bytes: the most that the process has held.
    """

    runtime: str
    load_s: float
    latencies_ms: list[float]
    peak_memory_bytes: int


def answer_order(open_encoder: Callable[[RunOrder], tuple[str, Encode]]) -> None:
    """Be the process that is measured: read the order from `argv`, print the result.

    Args:
        open_encoder: gives the runtime's name and a function from a batch to unit rows.
    """
    order = RunOrder(**json.loads(sys.argv[1]))
    begin = time.perf_counter()
    runtime, encode = open_encoder(order)
    inputs = np.load(order.inputs)
    load_s = time.perf_counter() - begin
    rows = np.concatenate([encode(batch) for batch in _batches(inputs, order.batch_size)])
    np.save(order.outputs, rows)
    latencies_ms = time_batches(encode, inputs, order.batch_size, order.seconds)
    result = RunResult(runtime, load_s, latencies_ms, peak_memory_bytes())
    sys.stdout.write(json.dumps(asdict(result)) + "\n")


def time_batches(
    encode: Encode, inputs: np.ndarray, batch_size: int, seconds: float
) -> list[float]:
    """Time forward passes over full batches, round and round, in milliseconds each."""
    batches = [one for one in _batches(inputs, batch_size) if len(one) == batch_size]
    latencies_ms: list[float] = []
    until = time.perf_counter() + seconds
    while len(latencies_ms) < _FEWEST_BATCHES or time.perf_counter() < until:
        batch = batches[len(latencies_ms) % len(batches)]
        begin = time.perf_counter()
        encode(batch)
        latencies_ms.append(1e3 * (time.perf_counter() - begin))
    return latencies_ms


def peak_memory_bytes() -> int:
    """The most memory that this process has held."""
    if _STATUS.is_file():
        # Linux's getrusage begins with what the parent held when it started this process.
        (line,) = (one for one in _STATUS.read_text().splitlines() if one.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # others count in KiB


def write_inputs(path: Path, inputs: np.ndarray) -> Path:
    """Write inputs where the processes that are measured find them."""
    np.save(path, inputs)
    return path


def _batches(inputs: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    for begin in range(0, len(inputs), batch_size):
        yield inputs[begin : begin + batch_size]
