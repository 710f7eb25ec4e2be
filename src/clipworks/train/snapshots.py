"""The state of a run on disk, from which it goes on as if nothing had happened."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from clipworks.errors import CheckpointError, SettingsError
from clipworks.files import atomic_path, remove_partial_files
from clipworks.train.averaging import WeightAverage

_KEPT = 2
_PATTERN = "step-*.pt"


@dataclass(frozen=True)
class RunState:
    """What changes while a model trains.

    Attributes:
        model: its weights.
        optimizers: their moments.
        average: the running mean of the weights, or None.
    """

    model: nn.Module
    optimizers: list[torch.optim.Optimizer]
    average: WeightAverage | None


def save_snapshot(folder: Path, step: int, state: RunState) -> Path:
    """Write the state after `step` steps, whole or not at all, and keep the latest two.

    Returns:
        The file written.
    """
    content = {
        "step": step,
        "model": state.model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in state.optimizers],
        "average": state.average.model.state_dict() if state.average else None,
        "rng": torch.get_rng_state(),
    }
    path = folder / f"step-{step:08d}.pt"
    with atomic_path(path) as temporary:
        torch.save(content, temporary)
    for old in list_snapshots(folder)[:-_KEPT]:
        old.unlink(missing_ok=True)
    return path


def list_snapshots(folder: Path) -> list[Path]:
    """The snapshots in a folder, oldest first."""
    return sorted(folder.glob(_PATTERN))


def resume_latest(folder: Path, state: RunState) -> int:
    """Load the latest snapshot into `state`.

    Returns:
        The number of steps done, 0 where there is no snapshot.

    Raises:
        CheckpointError: the file cannot be read.
        SettingsError: the snapshot is of a model of other sizes, or was made with (without) a mean.
    """
    remove_partial_files(folder)
    snapshots = list_snapshots(folder)
    if not snapshots:
        return 0
    content = _read(snapshots[-1])
    if (content["average"] is None) != (state.average is None):
        raise SettingsError(
            f"{snapshots[-1]} and average_decay do not go together: one has a mean of the weights, "
            f"the other none; keep the setting or start in an empty folder"
        )
    try:
        state.model.load_state_dict(content["model"])
        for optimizer, moments in zip(state.optimizers, content["optimizers"], strict=True):
            own = optimizer.state_dict()["param_groups"]  # settings are the run's, not the file's
            optimizer.load_state_dict({"state": moments["state"], "param_groups": own})
        if state.average:
            state.average.model.load_state_dict(content["average"])
    except (RuntimeError, ValueError, KeyError) as error:
        raise SettingsError(
            f"{snapshots[-1]} is of a model of other sizes: {error}; "
            f"keep the settings or start in an empty folder"
        ) from error
    torch.set_rng_state(content["rng"])
    return content["step"]


def _read(path: Path) -> dict[str, Any]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"{path} is not a snapshot that can be read ({error}): delete it to go on from the "
            f"one before"
        ) from error
