"""Contenders take turns, each run in a process of its own.

Two runtimes in one process disturb each other (their threads spin while they wait), and a machine
is never equally quiet for two minutes: so one measurement is one process, and the contenders go
round and round, every other round backwards.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from clipworks.bench.contenders import Contender
from clipworks.bench.timing import RunOrder, RunResult, Tower


@dataclass(frozen=True)
class Heat:
    """One contender at one batch size: a row of the report.

    Attributes:
        contender: who.
        tower: of the two.
        batch_size: rows in a forward pass.
        inputs: the `.npy` file with the rows.
        outputs: the `.npy` file for the embeddings.
    """

    contender: Contender
    tower: Tower
    batch_size: int
    inputs: Path
    outputs: Path


@dataclass
class HeatResults:
    """What the runs of a heat gave, round by round; `error` is the last one's, if it failed."""

    heat: Heat
    runs: list[RunResult] = field(default_factory=list)
    error: str = ""

    @property
    def embeddings(self) -> np.ndarray | None:
        """Unit rows [row dim] of the inputs, where a run was successful."""
        return np.load(self.heat.outputs) if self.runs else None


def run_rounds(
    heats: Sequence[Heat],
    *,
    num_rounds: int,
    seconds: float,
    num_threads: int = 0,
    tell: Callable[[Heat], None] = lambda heat: None,
) -> list[HeatResults]:
    """Run every heat once a round; one that fails is left out of the rounds that follow.

    Args:
        heats: what is measured.
        num_rounds: how often.
        seconds: of measuring, each time.
        num_threads: of one forward pass; 0 for the backend's own choice.
        tell: is called before each run.
    """
    results = [HeatResults(heat) for heat in heats]
    for number in range(num_rounds):
        for one in results if number % 2 == 0 else reversed(results):
            tell(one.heat)
            if not one.error:
                _run(one, seconds=seconds, num_threads=num_threads)
    return results


def _run(results: HeatResults, *, seconds: float, num_threads: int) -> None:
    heat = results.heat
    order = RunOrder(
        tower=heat.tower,
        inputs=str(heat.inputs),
        outputs=str(heat.outputs),
        batch_size=heat.batch_size,
        seconds=seconds,
        num_threads=num_threads,
        encoder=heat.contender.encoder,
    )
    command = [*heat.contender.command, json.dumps(asdict(order))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        results.runs.append(RunResult(**json.loads(done.stdout.splitlines()[-1])))
    except (IndexError, ValueError, TypeError):
        lines = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()
        results.error = lines[-1]
