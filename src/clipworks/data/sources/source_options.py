"""What a user says of a source, and what follows of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

from clipworks.data.downloads import FetchLimits
from clipworks.errors import SettingsError

Modality = Literal["image", "text", "both"]
Say = Callable[[str], None]
"""Is told, in one line each, what was found out by looking."""


def keep_silent(line: str) -> None:
    """Is told, and tells nobody."""


KINDS = {
    "folder": "pictures in a folder and below it",
    "webdataset": "tars",
    "img2dataset": "what img2dataset wrote",
    "parquet": "tables",
    "csv": "tables",
    "tsv": "tables",
    "jsonl": "tables of JSON objects, one a line",
    "paths": "paths or addresses of pictures, one a line",
    "lines": "texts, one a line",
}


@dataclass(frozen=True)
class SourceOptions:
    """How a source is to be read; what is None is found out by looking.

    Attributes:
        partition_size: samples in one partition; of tars, about as many.
        kind: one of `KINDS`.
        modality: what is embedded: `image`, `text`, `both`, or `auto`: what there is.
        image_column: of a table; of tars, the pictures' extensions, such as `jpg;png`.
        caption_column: of a table; of tars, the captions' extensions.
        nul_separated: whether paths end in NUL instead of a newline.
        limits: for what is fetched.
    """

    partition_size: int = 2048
    kind: str | None = None
    modality: Literal["auto", "image", "text", "both"] = "auto"
    image_column: str | None = None
    caption_column: str | None = None
    nul_separated: bool = False
    limits: FetchLimits = field(default_factory=FetchLimits)

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in KINDS:
            raise SettingsError(
                f"unknown kind of source {self.kind!r}: expected one of {', '.join(KINDS)}"
            )
        known = ("auto", *get_args(Modality))
        if self.modality not in known:
            raise SettingsError(
                f"unknown modality {self.modality!r}: expected one of {', '.join(known)}"
            )

    @property
    def said(self) -> dict[str, str]:
        """What is recorded of the options, so that the same source is read the same way again."""
        return {"source_kind": self.kind} if self.kind else {}

    @property
    def wants_images(self) -> bool:
        """Whether a source without pictures would be no answer."""
        return self.modality in ("image", "both")

    def settle(self, where: str, *, images: bool, captions: bool) -> Modality:
        """Decide what is embedded of a source that has pictures, captions, or both.

        Raises:
            SettingsError: it lacks what is asked for.
        """
        if self.modality in ("image", "both") and not images:
            raise SettingsError(f"{where} has no pictures, which --modality {self.modality} wants")
        if self.modality in ("text", "both") and not captions:
            raise SettingsError(f"{where} has no captions, which --modality {self.modality} wants")
        if self.modality != "auto":
            return self.modality
        return "both" if images and captions else "image" if images else "text"
