"""A folder as one page to wander about in: points or thumbnails, colours, captions to search."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np
import pyarrow as pa

from clipworks.search.map_layout import Points
from clipworks.search.thumbnails import SHEET_PX

_MAX_KINDS = 24  # of a column that colours points by kinds
_MAX_CAPTION = 300


@dataclass(frozen=True)
class Colouring:
    """What points may be coloured by.

    Attributes:
        name: for people.
        values: one a point: a kind's number, or a share in 0..1 of a number's range; None for
            points that have none.
        kinds: the kinds' names; none where the values are numbers.
        low: the number that 0 stands for.
        high: the number that 1 stands for.
    """

    name: str
    values: Sequence[float | None]
    kinds: Sequence[str] = ()
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True)
class MapData:
    """All that a page shows.

    Attributes:
        title: of the page.
        subtitle: a line below it.
        points: one a sample [row xy], within -1..1.
        names: one a sample: its path or what else it is called.
        captions: one a sample.
        colourings: the first is shown first.
        sheets: thumbnails, as `make_sheets` gives them.
        tile_px: the side of a thumbnail.
    """

    title: str
    subtitle: str
    points: Points
    names: Sequence[str]
    captions: Sequence[str]
    colourings: Sequence[Colouring] = ()
    sheets: Sequence[str] = field(default_factory=list)
    tile_px: int = 40


def render_map(data: MapData) -> str:
    """Draw the page; it needs nothing beside it.

    Returns:
        HTML.
    """
    home = files("clipworks.search")
    page = home.joinpath("map_page.html").read_text("utf-8")
    content = {
        "points": base64.b64encode(data.points.astype("<f4").tobytes()).decode(),
        "names": list(data.names),
        "captions": [caption[:_MAX_CAPTION] for caption in data.captions],
        "colourings": [
            {
                "name": colouring.name,
                "values": [None if v is None else round(v, 4) for v in colouring.values],
                "kinds": list(colouring.kinds),
                "low": colouring.low,
                "high": colouring.high,
            }
            for colouring in data.colourings
        ],
        "tile": data.tile_px,
        "across": SHEET_PX // data.tile_px,
        "sheets": list(data.sheets),
    }
    # Within a script, only the beginning of its end tag (or of a comment) means anything to HTML.
    text = json.dumps(content, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    for mark, value in (
        ("@@SCRIPT@@", home.joinpath("map_page.js").read_text("utf-8")),
        ("@@TITLE@@", escape(data.title)),
        ("@@SUBTITLE@@", escape(data.subtitle)),
        ("@@DATA@@", text),  # last: what people wrote may hold a mark
    ):
        page = value.join(page.split(mark))
    return page


def colour_by_column(name: str, column: pa.ChunkedArray) -> Colouring | None:
    """Make a colouring of a metadata column; None where it has too many kinds, or one alone."""
    values = column.to_pylist()
    if _is_number(column.type):
        return _colour_by_number(name, values)
    labels = [None if value is None else str(value) for value in values]
    counts = Counter(label for label in labels if label is not None)
    if not 2 <= len(counts) <= _MAX_KINDS:
        return None
    kinds = [kind for kind, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    places: dict[Any, int] = {kind: place for place, kind in enumerate(kinds)}
    return Colouring(name, [places.get(label) for label in labels], kinds)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _colour_by_number(name: str, values: Sequence[Any]) -> Colouring | None:
    numbers = np.array([np.nan if value is None else float(value) for value in values])
    good = numbers[np.isfinite(numbers)]
    if not len(good) or good.min() == good.max():
        return None
    low, high = np.percentile(good, [1, 99])
    if low == high:
        low, high = good.min(), good.max()
    shares = np.clip((numbers - low) / (high - low), 0, 1)
    return Colouring(
        name,
        [float(share) if np.isfinite(share) else None for share in shares],
        low=float(low),
        high=float(high),
    )
