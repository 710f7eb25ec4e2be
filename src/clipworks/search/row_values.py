"""Arrow columns as Python's values, by the column rather than value by value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa


def plain_values(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """What `to_pylist` gives, several times as fast for texts and numbers."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _numpy(column).tolist()
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        return column.to_pylist()
    if not column.null_count:
        return _numpy(column).tolist()
    # As numpy sees them, whole numbers with nulls among them would be fractions.
    values = _numpy(column.fill_null(False if pa.types.is_boolean(kind) else 0)).tolist()
    for place in np.flatnonzero(_numpy(column.is_null())):
        values[place] = None
    return values


def records_of(table: pa.Table | pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows as dictionaries."""
    columns = [plain_values(column) for column in table.columns]
    names = table.schema.names
    if not columns:
        return [{} for _ in range(table.num_rows)]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _numpy(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    if isinstance(column, pa.ChunkedArray):
        return column.to_numpy()
    return column.to_numpy(zero_copy_only=False)
