"""How an index is to be built."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from clipworks.errors import SettingsError

AUTO = "auto"
BOTH = "both"
QUERIES = (BOTH, "image", "text")
KINDS = ("flat", "hnsw", "ivf-fast", "ivf-sq8", "ivf-pq")
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)B?", re.IGNORECASE)


@dataclass(frozen=True)
class IndexSettings:
    """What is wanted of an index.

    Attributes:
        kind: one of KINDS, or `auto`: by the number of rows and the memory.
        recall: share of the ten nearest rows that is to be found, above 0 and at most 1.
        queries: what will be asked, and so has to find as much: `image`, `text` or `both`.
        rows: what the rows are: `image` or `text`; empty where nobody says.
        memory_bytes: what building and answering may take each; 0 for half of the machine's.
        server: address of the server that keeps the rows, for backends that have one.
        work_folder: where parts lie meanwhile that do not fit into memory.

    Raises:
        SettingsError: one of them is none of these.
    """

    kind: str = AUTO
    recall: float = 0.95
    queries: str = BOTH
    rows: str = ""
    memory_bytes: int = 0
    server: str = ""
    work_folder: Path | None = None

    def __post_init__(self) -> None:
        if self.kind not in (AUTO, *KINDS):
            raise SettingsError(
                f"index kind {self.kind!r}: expected {AUTO}, {', '.join(KINDS[:-1])} or {KINDS[-1]}"
            )
        if self.queries not in QUERIES:
            raise SettingsError(f"queries {self.queries!r}: expected both, image or text")
        if not 0 < self.recall <= 1:
            raise SettingsError(f"recall {self.recall}: expected a share above 0 and at most 1")

    @property
    def is_asked_alike(self) -> bool:
        """Whether queries are what the rows are, and so lie where these lie."""
        return self.queries == self.rows

    @property
    def memory(self) -> int:
        """The budget in bytes."""
        return self.memory_bytes or machine_memory_bytes() // 2


def parse_size(text: str) -> int:
    """Read a size such as `6GB`, `512M` or `1.5GiB`, in bytes.

    Raises:
        SettingsError: it is none.
    """
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise SettingsError(f"memory {text!r}: expected a size such as 6GB or 512MB")
    number, unit, binary = found.groups()
    step = _UNITS[unit.upper()]
    if binary:
        step = round(1024 ** (len(str(step)) // 3))
    size = round(float(number) * step)
    if size < _UNITS["M"]:
        raise SettingsError(f"memory {text!r}: an index needs 1MB at the least")
    return size


def machine_memory_bytes() -> int:
    """The machine's memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
