"""The metadata table: one schema for all partitions, found before the first is written.

A column has the narrowest of four types that holds every value seen: `bool`, `int64`, `double`
(whole numbers among fractions too) or `string`, which holds whatever else there is as JSON text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from clipworks.data.embedding_folder import CAPTION_COLUMN, IMAGE_PATH_COLUMN
from clipworks.data.samples import storable

_TYPES = {
    "bool": pa.bool_(),
    "int64": pa.int64(),
    "double": pa.float64(),
    "string": pa.string(),
}
_NUMBERS = {"int64", "double"}
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_FRACTION = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]{1,3})?")


@dataclass(frozen=True)
class MetadataRow:
    """What the table says about one sample; its path is left out where texts alone are embedded."""

    image_path: str
    caption: str | None
    fields: Mapping[str, Any]


def find_columns(records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Name the columns and types of some samples' fields, in the order met.

    Fields that bear the name of the path's or the caption's column are left out, as clip-retrieval
    does.
    """
    found: dict[str, str | None] = {}
    for fields in records:
        for name, value in fields.items():
            found[name] = _widen(found.get(name), value)
    for taken in (IMAGE_PATH_COLUMN, CAPTION_COLUMN):
        found.pop(taken, None)
    return {name: kind or "string" for name, kind in found.items()}


def find_written_columns(records: Iterable[Mapping[str, str | None]]) -> dict[str, str]:
    """Name the columns and types of fields that are all written as text, as a CSV file has them.

    A number is what would be written the same again: `007` and `1e5km` are texts.
    """
    found: dict[str, str | None] = {}
    for fields in records:
        for name, text in fields.items():
            known = found.get(name)
            if known != "string":
                found[name] = _widen(known, _read_number(text) if text else None)
    return {name: kind or "string" for name, kind in found.items()}


def find_arrow_columns(schemas: Iterable[pa.Schema]) -> dict[str, str]:
    """Name the columns of some tables and the type that holds each of them."""
    return merge_columns(
        {column.name: _arrow_kind(column.type) for column in schema} for schema in schemas
    )


def merge_columns(tables: Iterable[Mapping[str, str | None]]) -> dict[str, str]:
    """Find the columns of several tables and the types that hold those of each; None fits all."""
    found: dict[str, str | None] = {}
    for table in tables:
        for name, kind in table.items():
            known = found.get(name)
            both = {known, kind} - {None}
            wide = "double" if both == _NUMBERS else "string"
            found[name] = wide if len(both) > 1 else known or kind
    return {name: kind or "string" for name, kind in found.items()}


def metadata_table(
    rows: Sequence[MetadataRow], columns: Mapping[str, str], *, with_paths: bool = True
) -> pa.Table:
    """Make the table of some samples; a field that a sample lacks is null."""
    arrays = {}
    if with_paths:
        paths = [storable(row.image_path) for row in rows]
        arrays[IMAGE_PATH_COLUMN] = pa.array(paths, pa.string())
    arrays[CAPTION_COLUMN] = pa.array([row.caption for row in rows], pa.string())
    for name, kind in columns.items():
        values = [_as_type(row.fields.get(name), kind) for row in rows]
        arrays[name] = pa.array(values, _TYPES[kind])
    return pa.table(arrays)


def _widen(known: str | None, value: object) -> str | None:
    kind = _type_of(value)
    if known is None or kind is None or known == kind:
        return known or kind
    return "double" if {known, kind} == _NUMBERS else "string"


def _type_of(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int64" if -(2**63) <= value < 2**63 else "string"
    return "double" if isinstance(value, float) else "string"


def _as_type(value: object, kind: str) -> object:
    """The value as its column takes it; null where the file has changed and it no longer fits."""
    if value is None:
        return None
    if kind == "string":
        return storable(value if isinstance(value, str) else _as_json(value))
    if isinstance(value, str):
        value = _read_number(value)
    fits = _widen(kind, value) == kind
    if not fits:
        return None
    return float(value) if kind == "double" and isinstance(value, int) else value


def _as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)  # dates and the like as Python has it


def _read_number(text: str) -> int | float | str:
    """The number that a text writes, or the text."""
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _FRACTION.fullmatch(text) and not _has_leading_zero(text) else text


def _has_leading_zero(text: str) -> bool:
    return text[:1] == "0" and text[1:2].isdecimal()


def _arrow_kind(kind: pa.DataType) -> str | None:
    if pa.types.is_null(kind):
        return None
    if pa.types.is_boolean(kind):
        return "bool"
    if pa.types.is_integer(kind):
        return "string" if pa.types.is_uint64(kind) else "int64"
    return "double" if pa.types.is_floating(kind) else "string"
