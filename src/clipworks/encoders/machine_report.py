"""What this machine has for running models: processor, memory, backends, extras, cache, hub."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from clipworks.devices import Cpu, describe_cpu, list_gpus, memory_bytes
from clipworks.encoders.backend_table import BACKEND_FACTS, DEVICE_LISTS
from clipworks.encoders.hub_errors import hub_endpoint
from clipworks.extras import Extra, list_extras
from clipworks.files import cache_folder


@dataclass(frozen=True)
class BackendReport:
    """One backend.

    Attributes:
        name: as `--backend` takes it.
        version: of its library; None where that is not installed.
        devices: where it runs here.
        problem: why it does not, although it is installed.
        pip: the line that installs it.
    """

    name: str
    version: str | None
    devices: tuple[str, ...]
    problem: str
    pip: str


@dataclass(frozen=True)
class CacheReport:
    """The cache folder, and what lies in it."""

    folder: str
    size_bytes: int


@dataclass(frozen=True)
class HubReport:
    """How the hub is reached; nothing is asked of it.

    Attributes:
        endpoint: its address, or a mirror's (`HF_ENDPOINT`).
        offline: whether `HF_HUB_OFFLINE` forbids to ask it.
        has_token: whether there is a token for it.
    """

    endpoint: str
    offline: bool
    has_token: bool


@dataclass(frozen=True)
class MachineReport:
    """All of it."""

    python: str
    system: str
    cpu: Cpu
    memory_bytes: int | None
    gpus: tuple[str, ...]
    backends: tuple[BackendReport, ...]
    extras: tuple[Extra, ...]
    cache: CacheReport
    hub: HubReport


def report_machine() -> MachineReport:
    """Look around; the backends that are installed are imported."""
    return MachineReport(
        python=platform.python_version(),
        system=platform.platform(),
        cpu=describe_cpu(),
        memory_bytes=memory_bytes(),
        gpus=tuple(list_gpus()),
        backends=tuple(report_backend(name) for name in BACKEND_FACTS),
        extras=tuple(list_extras()),
        cache=_report_cache(cache_folder()),
        hub=_report_hub(),
    )


def report_backend(name: str) -> BackendReport:
    """Whether a backend is installed, and where it runs; a broken one says why."""
    facts = BACKEND_FACTS[name]
    devices: tuple[str, ...] = ()
    problem = ""
    if facts.installed:
        try:
            devices = tuple(DEVICE_LISTS.load(name)())
        except (ImportError, OSError, RuntimeError) as error:
            problem = " ".join(str(error).split())
    version = facts.version if facts.installed else None
    return BackendReport(name, version, devices, problem, f"pip install '{facts.pip}'")


def _report_cache(folder: Path) -> CacheReport:
    files = (Path(root) / name for root, _, names in os.walk(folder) for name in names)
    # A link's own few bytes count, not those of what it points to.
    return CacheReport(str(folder), sum(file.lstat().st_size for file in files))


def _report_hub() -> HubReport:
    from huggingface_hub import constants, get_token

    return HubReport(
        endpoint=hub_endpoint(),
        offline=constants.HF_HUB_OFFLINE,
        has_token=get_token() is not None,
    )
