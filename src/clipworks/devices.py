"""What the machine has to compute with."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_NOTED_FLAGS = {
    "avx2": "avx2",
    "avx512f": "avx512",
    "avx512_vnni": "avx512_vnni",
    "avx_vnni": "avx_vnni",
    "avx512_bf16": "avx512_bf16",
    "amx_tile": "amx",
    "amx_int8": "amx_int8",
    "amx_bf16": "amx_bf16",
    "asimd": "neon",
    "asimddp": "dotprod",
    "i8mm": "i8mm",
    "bf16": "bf16",
}
_QUERY_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Cpu:
    """The processor.

    Attributes:
        model: as it calls itself.
        cores: that this process may use.
        flags: those of its instruction sets that matter to matrix products, sorted.
    """

    model: str
    cores: int
    flags: tuple[str, ...]

    @property
    def has_bf16(self) -> bool:
        """Whether it multiplies bfloat16 itself."""
        return any(flag in self.flags for flag in ("avx512_bf16", "amx_bf16", "bf16"))


def count_cores() -> int:
    """Cores that this process may use: fewer than the machine's where it is pinned to some."""
    if hasattr(os, "sched_getaffinity"):  # Linux only
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe_cpu() -> Cpu:
    """The processor: its model, cores and flags; the flags are known on Linux only."""
    model, flags = _read_cpuinfo()
    return Cpu(model, count_cores(), flags)


@cache
def _read_cpuinfo() -> tuple[str, tuple[str, ...]]:
    try:
        text = _CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine(), ()
    return parse_cpuinfo(text)


def parse_cpuinfo(text: str) -> tuple[str, tuple[str, ...]]:
    """Model and noted flags out of what Linux says in `/proc/cpuinfo`."""
    first = text.split("\n\n")[0]
    fields = {
        name.strip(): value.strip()
        for name, _, value in (line.partition(":") for line in first.splitlines())
    }
    present = (fields.get("flags") or fields.get("Features") or "").split()
    model = fields.get("model name") or platform.machine()
    return model, tuple(sorted({_NOTED_FLAGS[flag] for flag in present if flag in _NOTED_FLAGS}))


def memory_bytes() -> int | None:
    """The machine's memory, or None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def list_gpus() -> list[str]:
    """NVIDIA's GPUs as their driver names them: model, memory and driver version."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(
            [program, *query], capture_output=True, text=True, timeout=_QUERY_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]
