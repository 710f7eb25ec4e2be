"""`auto`: the fastest of the installed backends, measured once for each machine and model.

Where one backend is installed there is nothing to measure. Else each is timed in a process of its
own, one after the other, and the outcome is kept in the cache, for as long as the model, the
processor and the backends' versions stay what they are.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from clipworks.devices import describe_cpu, list_gpus
from clipworks.encoders.backend_table import ALWAYS_THERE, BACKEND_FACTS, BACKENDS, list_candidates
from clipworks.encoders.bundle import Bundle
from clipworks.encoders.computed_precision import card_at
from clipworks.errors import FolderError, SettingsError
from clipworks.files import cache_folder, read_versioned_json, write_json_atomic

AUTO = "auto"
BACKEND_VARIABLE = "CLIPWORKS_BACKEND"
"""The environment variable that says what `auto` means."""

_FORMAT_VERSION = 1
_TIMEOUT_S = 30.0  # of one candidate, loading included
_CLEARLY_FASTER = 0.95  # of the base backend's time: less is noise

Tell = Callable[[str], None]
"""Is told in a sentence what is about to take time."""


@dataclass(frozen=True)
class Measurement:
    """How one backend did.

    Attributes:
        backend: its name.
        load_s: to load the model and run it once, in seconds.
        seconds_per_image: of the image tower, by batch size.
        error: why it did not run; the others are empty then.
    """

    backend: str
    load_s: float | None = None
    seconds_per_image: dict[str, float] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True)
class BackendChoice:
    """Which backend `auto` means, and why.

    Attributes:
        backend: its name.
        reason: in words.
        measurements: one for each candidate; none where there was nothing to choose from.
    """

    backend: str
    reason: str
    measurements: tuple[Measurement, ...] = ()


def choose_backend(
    bundle: Bundle,
    *,
    device: str = "cpu",
    precision: str | None = None,
    remeasure: bool = False,
    tell: Tell | None = None,
) -> BackendChoice:
    """Say what `auto` means for a model on this machine; measure it where that is not known yet.

    Args:
        bundle: the model.
        device: as `load` takes it.
        precision: as `load` takes it.
        remeasure: whether to measure again what is known.
        tell: is told before a measurement starts.

    Raises:
        SettingsError: no installed backend runs on that device, or `CLIPWORKS_BACKEND` is unknown.
    """
    if settled := _settle(bundle, device):
        return settled
    candidates = list_candidates(bundle, device)
    path = _memory_path(bundle, device, precision, candidates)
    if not remeasure and (known := _recall(path)):
        return known
    if tell:
        tell(f"measuring {', '.join(candidates)} on {bundle.card.name}, once (some seconds)")
    measured = tuple(_measure(bundle, name, device, precision) for name in candidates)
    choice = choose_from(measured)
    if any(not one.error for one in measured):  # else something is amiss that may be mended
        _remember(path, bundle, choice)
    return choice


def recall_choice(
    bundle: Bundle, *, device: str = "cpu", precision: str | None = None
) -> BackendChoice | None:
    """The same without measuring; None where it is not known yet.

    Raises:
        SettingsError: no installed backend runs on that device, or `CLIPWORKS_BACKEND` is unknown.
    """
    if settled := _settle(bundle, device):
        return settled
    return _recall(_memory_path(bundle, device, precision, list_candidates(bundle, device)))


def choose_from(measured: tuple[Measurement, ...]) -> BackendChoice:
    """The fastest; the base backend, where no other is clearly faster."""
    ran = [one for one in measured if one.seconds_per_image]
    if not ran:
        return BackendChoice(ALWAYS_THERE, "no candidate could be measured", measured)
    sizes = set.intersection(*(set(one.seconds_per_image) for one in ran))
    scores = {one.backend: _mean_time(one, sizes) for one in ran}
    best = min(scores, key=scores.__getitem__)
    base = scores.get(ALWAYS_THERE)
    if base is not None and best != ALWAYS_THERE and scores[best] > _CLEARLY_FASTER * base:
        return BackendChoice(ALWAYS_THERE, "no other is clearly faster", measured)
    return BackendChoice(best, "the fastest when it was measured", measured)


def _mean_time(one: Measurement, sizes: set[str]) -> float:
    """Seconds for a picture: the geometric mean over the batch sizes."""
    return math.exp(sum(math.log(one.seconds_per_image[size]) for size in sizes) / len(sizes))


def _settle(bundle: Bundle, device: str) -> BackendChoice | None:
    """What needs no measurement."""
    stated = os.environ.get(BACKEND_VARIABLE)
    if stated and stated != AUTO:
        if stated not in BACKENDS:
            raise SettingsError(
                f"{BACKEND_VARIABLE}={stated}: expected one of {', '.join([AUTO, *BACKENDS])}"
            )
        return BackendChoice(stated, f"{BACKEND_VARIABLE} says so")
    candidates = list_candidates(bundle, device)
    if not candidates:
        devices = sorted({name for facts in BACKEND_FACTS.values() for name in facts.candidate_for})
        raise SettingsError(
            f"device {device!r}: no installed backend runs there; expected one of "
            f"{', '.join(devices)}, or a server's address (http://host:8000)"
        )
    if len(candidates) == 1:
        return BackendChoice(candidates[0], "the only one that is installed for this device")
    return None


def _measure(bundle: Bundle, backend: str, device: str, precision: str | None) -> Measurement:
    wanted = {
        "folder": str(bundle.folder.resolve()),
        "backend": backend,
        "device": device,
        "precision": precision,
    }
    # -P: whatever lies in the user's current folder is not to be imported.
    program = ["-P", "-m", "clipworks.encoders.backend_probe"]
    command = [sys.executable, *program, json.dumps(wanted)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return Measurement(backend, error=f"took longer than {_TIMEOUT_S:.0f} s")
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return Measurement(backend, error=f"ended with code {done.returncode}: {last}")
    return Measurement(backend, **answer)


def _memory_path(bundle: Bundle, device: str, precision: str | None, candidates: list[str]) -> Path:
    """The file that keeps a choice; its name is a hash of what the choice depends on."""
    cpu = describe_cpu()
    deciding: dict[str, Any] = {
        "fingerprint": card_at(bundle.card, precision).fingerprint,
        "machine": [cpu.model, cpu.cores],
        "gpus": list_gpus() if device != "cpu" else [],
        "device": device,
        "versions": {name: BACKEND_FACTS[name].version for name in candidates},
    }
    key = hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:16]
    return cache_folder() / "backends" / f"{bundle.card.fingerprint}-{key}.json"


def _recall(path: Path) -> BackendChoice | None:
    try:
        known = read_versioned_json(
            path, version=_FORMAT_VERSION, remedy="clipworks doctor --measure", error=FolderError
        )
        if known is None:
            return None
        measured = tuple(Measurement(**one) for one in known["measurements"])
        return BackendChoice(known["backend"], known["reason"], measured)
    except (FolderError, KeyError, TypeError):
        return None  # of another version, or damaged: it is measured again


def _remember(path: Path, bundle: Bundle, choice: BackendChoice) -> None:
    content = {"format_version": _FORMAT_VERSION, "model": bundle.card.name, **asdict(choice)}
    with suppress(OSError):  # a cache that cannot be written costs time, and is no reason to stop
        write_json_atomic(path, content)
