"""Where a run's time goes: seconds of each stage, and which of them holds up the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from clipworks.embed.embed_settings import EmbedSettings

_ADVICE = {
    "read": "the disk or the network gives no more: put the pictures nearer, in tars rather than "
    "single files, or give more --workers",
    "decode": "--fast-decode shortens it for large JPEGs, more --decoders or --workers share it; "
    "pictures stored near the model's size need little of it",
    "encode": "on a CPU an int8 bundle (`clipworks convert --precision int8`) or a smaller model; "
    "--device cuda with a larger --batch-size; or more machines (--executor)",
    "write": "the folder's disk is slow: write to a local one, or with a larger --partition-size",
}


@dataclass(frozen=True)
class StageSeconds:
    """Seconds that threads and processes spent, added up over all of them.

    Attributes:
        read: on getting at bytes.
        decode: on decoding and resizing.
        encode: in the model.
        write: on a partition's files.
    """

    read: float = 0.0
    decode: float = 0.0
    encode: float = 0.0
    write: float = 0.0

    def __add__(self, other: StageSeconds) -> StageSeconds:
        return StageSeconds(
            **{stage: seconds + getattr(other, stage) for stage, seconds in self.items()}
        )

    def items(self) -> list[tuple[str, float]]:
        """Each stage's name and seconds, in the order of the work."""
        return [(stage.name, getattr(self, stage.name)) for stage in fields(self)]


@dataclass(frozen=True)
class Tally:
    """What some batches or partitions came to.

    Attributes:
        handled: samples, the skipped ones included.
        skipped: pictures that could not be read.
        incomplete: rows whose caption or fields could not be read.
        seconds: of the stages.
    """

    handled: int = 0
    skipped: int = 0
    incomplete: int = 0
    seconds: StageSeconds = StageSeconds()

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.handled + other.handled,
            self.skipped + other.skipped,
            self.incomplete + other.incomplete,
            self.seconds + other.seconds,
        )


def stage_lanes(settings: EmbedSettings) -> dict[str, int]:
    """How many threads or processes can be at each stage at once."""
    reading = settings.num_decoders or settings.workers
    return {
        "read": reading,
        "decode": reading,
        "encode": settings.encoding,
        "write": settings.workers,
    }


def find_slowest(seconds: StageSeconds, lanes: Mapping[str, int]) -> str:
    """The stage whose lanes are the busiest."""
    return max(seconds.items(), key=lambda item: item[1] / lanes[item[0]])[0]


def profile(seconds: StageSeconds, lanes: Mapping[str, int]) -> dict[str, Any]:
    """What bounds a run, as plain values for JSON.

    Each stage has its `seconds` and its `share` of all stages' seconds; `bound` is the stage whose
    lanes are the busiest, and `advice` one sentence.
    """
    total = sum(spent for _, spent in seconds.items())
    shares = {
        stage: {"seconds": round(spent, 3), "share": round(spent / total, 4) if total else 0.0}
        for stage, spent in seconds.items()
    }
    bound = find_slowest(seconds, lanes)
    return {"stages": shares, "bound": bound, "advice": f"{bound} bounds the run: {_ADVICE[bound]}"}
