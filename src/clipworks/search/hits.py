"""What a search finds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32

from clipworks.data.embedding_folder import CAPTION_COLUMN, IMAGE_PATH_COLUMN


@dataclass(frozen=True)
class Hit:
    """One result.

    Attributes:
        rank: from 1, best first.
        similarity: cosine between query and sample.
        id: the sample's row in the folder.
        image_path: as the folder has it; the file may be gone by now. None without pictures.
        caption: None where the folder has none.
        metadata: the folder's further columns.
        probability: of being an answer, 0..1; None where it was not asked for or cannot be said.
        scores: by the names of the heads.
        embedding: the sample's unit embedding [dim]; None unless it was asked for.
    """

    rank: int
    similarity: float
    id: int
    image_path: str | None
    caption: str | None
    metadata: dict[str, Any]
    probability: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    embedding: Float32[np.ndarray, "dim"] | None = field(default=None, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Plain values that JSON takes; what was not asked for is left out."""
        fields: dict[str, Any] = {
            "rank": self.rank,
            "similarity": round(self.similarity, 6),
            "id": self.id,
            "image_path": self.image_path,
            "caption": self.caption,
            "metadata": plain_json(self.metadata),
        }
        if self.probability is not None:
            fields["probability"] = round(self.probability, 4)
        if self.scores:
            fields["scores"] = {name: round(score, 4) for name, score in self.scores.items()}
        if self.embedding is not None:
            fields["embedding"] = [round(float(number), 7) for number in self.embedding]
        return fields


def sample_names(record: dict[str, Any]) -> tuple[str | None, str | None]:
    """Take the path and the caption out of a metadata record; None for what it lacks."""
    path, caption = record.pop(IMAGE_PATH_COLUMN, None), record.pop(CAPTION_COLUMN, None)
    return None if path is None else str(path), None if caption is None else str(caption)


def plain_json(value: Any) -> Any:  # noqa: ANN401 - whatever a parquet column holds
    """The value as JSON can hold it; what it cannot becomes a text, not a number null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, dict):
        return {str(key): plain_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(inner) for inner in value]
    return str(value)
