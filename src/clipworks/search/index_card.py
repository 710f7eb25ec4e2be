"""`index.json`: what an index was built from; written last, so that what has it is whole."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from clipworks.data.embedding_folder import Manifest
from clipworks.errors import FolderError
from clipworks.files import read_versioned_json, write_json_atomic
from clipworks.search.index_measures import IndexMeasures, QueryMeasure

FORMAT_VERSION = 1
CARD_FILE = "index.json"


@dataclass(frozen=True)
class IndexCard:
    """What `index.json` says.

    Attributes:
        backend: which of the index backends wrote the files.
        model: that made the embeddings; empty where the folder does not say.
        fingerprint: of that model; empty where the folder does not say.
        embedding_dim: width of the joint space.
        rows: in each index.
        kinds: modality ("image", "text") to how its rows are kept.
        listing_digest: of the embedding folder that was indexed.
        measures: modality to what was measured of its index; where something was.
        format_version: of this layout.
    """

    backend: str
    model: str
    fingerprint: str
    embedding_dim: int
    rows: int
    kinds: dict[str, str]
    listing_digest: str
    measures: dict[str, IndexMeasures] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def is_of(self, manifest: Manifest | None) -> bool:
        """Whether what was indexed is what the folder holds now, as far as a manifest says."""
        return manifest is None or (self.fingerprint, self.listing_digest) == (
            manifest.fingerprint,
            manifest.listing_digest,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for `index.json`."""
        return asdict(self)


def read_index_card(folder: Path) -> IndexCard | None:
    """Read a folder's `index.json`; None where there is none.

    Raises:
        FolderError: it is damaged or of another format.
    """
    path = folder / CARD_FILE
    fields = read_versioned_json(
        path, version=FORMAT_VERSION, remedy="run `clipworks index` again", error=FolderError
    )
    try:
        return None if fields is None else _read_card(fields)
    except (AttributeError, TypeError) as error:
        raise FolderError(f"{path} is not complete or not ours: {error}") from error


def write_index_card(folder: Path, card: IndexCard) -> None:
    """Write `index.json`, whole or not at all."""
    write_json_atomic(folder / CARD_FILE, card.to_json())


def _read_card(fields: dict[str, Any]) -> IndexCard:
    measures = {
        modality: IndexMeasures(
            **{**stored, "queries": {k: QueryMeasure(**v) for k, v in stored["queries"].items()}}
        )
        for modality, stored in fields.pop("measures", {}).items()
    }
    return IndexCard(**fields, measures=measures)
