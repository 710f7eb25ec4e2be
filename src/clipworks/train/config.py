"""The settings of a training run, read from TOML."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from clipworks.errors import SettingsError
from clipworks.models.config import ClipConfig

Precision = Literal["fp32", "bf16"]
OptimizerName = Literal["adamw", "muon"]

Settings = TypeVar("Settings")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a model is trained.

    Attributes:
        steps: optimizer steps in all.
        batch_size: pictures in a batch.
        learning_rate: the highest.
        warmup_steps: from zero to the highest learning rate, in a straight line.
        decay_from: share of the steps, 0 to 1, after which the cosine sets in; until then the
            learning rate stays at its highest. 0 is the usual cosine.
        learning_rate_floor: where the cosine ends, as a share of the highest learning rate.
        optimizer: `adamw`, or `muon` for the matrices in the blocks (and AdamW for the rest).
        muon_scale: Muon's learning rate, as a multiple of AdamW's.
        weight_decay: of weight matrices; biases, norms, positions and the scale have none.
        betas: of AdamW.
        clip_norm: the gradient's norm is scaled down to this; 0 leaves it.
        precision: of the towers' arithmetic; weights, optimizer and loss are always float32.
        patch_keep: share of the patches that the image tower sees, in (0, 1].
        full_patch_steps: the last steps, in which it sees them all.
        lock_image: the image tower stays as it is, and batches bring its features (Zhai et al.,
            arXiv 2111.07991); the loss between pictures is left out.
        label_smoothing: of the targets, in [0, 1).
        image_loss_weight: of the loss between pictures of one group; 0 leaves it out.
        average_decay: of the running mean of the weights, in [0, 1); 0 keeps no mean.
        seed: of weights, patches and batches.
        workers: threads that share each batch out among them.
        threads: of torch in each worker, on the CPU; 0 leaves torch's own choice.
        log_every: steps between two lines of the journal.
        evaluate_every: steps between two evaluations; 0 never evaluates.
        snapshot_every: steps between two snapshots.
    """

    steps: int
    batch_size: int
    learning_rate: float
    warmup_steps: int = 0
    decay_from: float = 0.0
    learning_rate_floor: float = 0.0
    optimizer: OptimizerName = "adamw"
    muon_scale: float = 1.0
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.98)
    clip_norm: float = 1.0
    precision: Precision = "fp32"
    patch_keep: float = 1.0
    full_patch_steps: int = 0
    lock_image: bool = False
    label_smoothing: float = 0.0
    image_loss_weight: float = 0.0
    average_decay: float = 0.0
    seed: int = 0
    workers: int = 1
    threads: int = 0
    log_every: int = 10
    evaluate_every: int = 0
    snapshot_every: int = 500

    def __post_init__(self) -> None:
        _check(self.steps >= 1, "steps", self.steps, "at least 1")
        _check(self.batch_size >= 1, "batch_size", self.batch_size, "at least 1")
        _check(self.learning_rate > 0, "learning_rate", self.learning_rate, "more than 0")
        _check(self.precision in ("fp32", "bf16"), "precision", self.precision, "fp32 or bf16")
        _check(self.optimizer in ("adamw", "muon"), "optimizer", self.optimizer, "adamw or muon")
        _check(0 < self.patch_keep <= 1, "patch_keep", self.patch_keep, "in (0, 1]")
        _check(self.workers >= 1, "workers", self.workers, "at least 1")
        _check(self.log_every >= 1, "log_every", self.log_every, "at least 1")
        _check(self.snapshot_every >= 1, "snapshot_every", self.snapshot_every, "at least 1")
        _check(len(self.betas) == 2, "betas", self.betas, "two numbers")
        for name in ("decay_from", "label_smoothing", "average_decay"):
            _check(0 <= getattr(self, name) < 1, name, getattr(self, name), "in [0, 1)")


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a settings file.

    Raises:
        SettingsError: no such file, or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(f"there is no settings file {path}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error


def settings_from_table(kind: type[Settings], table: Mapping[str, Any], where: str) -> Settings:
    """Build a frozen dataclass from a TOML table.

    Args:
        kind: the dataclass.
        table: its fields; arrays become tuples.
        where: the table's name, for messages: "[train]".

    Raises:
        SettingsError: a key that is unknown (the message names the nearest one), missing, or
            whose value is not allowed.
    """
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            raise SettingsError(f"{where} has no setting {key!r}{_nearest(key, known)}")
    for name, field in known.items():
        needed = field.default is MISSING and field.default_factory is MISSING
        if needed and name not in table:
            raise SettingsError(f"{where} needs the setting {name!r}")
    for name, value in table.items():
        _check_type(known[name].type, value, f"{where} {name}")
    values = {
        key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
    }
    return kind(**values)


def model_from_table(table: Mapping[str, Any]) -> ClipConfig:
    """The model's sizes from the table `[model]` and its tables `vision` and `text`."""
    return ClipConfig.from_json(dict(table))


_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "bool": (bool,),
}


def _check_type(annotation: Any, value: Any, where: str) -> None:  # noqa: ANN401 - any TOML
    allowed = _TYPES.get(str(annotation))
    if allowed is None:
        return
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        raise SettingsError(f"{where} is {value!r}: expected {annotation}")


def _nearest(key: str, known: Mapping[str, Any]) -> str:
    nearest = difflib.get_close_matches(key, known, n=1)
    return f": did you mean {nearest[0]!r}?" if nearest else f": it has {', '.join(sorted(known))}"


def _check(holds: bool, name: str, value: object, expected: str) -> None:
    if not holds:
        raise SettingsError(f"{name} is {value!r}: expected {expected}")
