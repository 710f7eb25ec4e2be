"""`--where`: which rows a condition over the metadata's columns allows, through DuckDB.

A condition is an expression and no more: what comes to other tables, files or statements is
refused before it runs, and DuckDB's own doors to files, extensions and Python's variables are shut.

Axes: row (of the folder).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool

from clipworks.errors import SettingsError
from clipworks.search.metadata import MetadataTable

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_TABLE = "clipworks_rows"
_ROW = "clipworks_row"
_LOCKS: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    "temp_directory": "",
    "memory_limit": "2GB",
}
# They make a large value of a small one, which DuckDB's limit of memory does not always stop.
_GROWING = frozenset(
    {
        "array_resize", "bar", "format", "generate_series", "list_resize", "lpad", "printf",
        "range", "repeat", "rpad", "to_base",
    }
)  # fmt: skip
_REFUSED = {
    "SUBQUERY": "a query inside the condition",
    "WINDOW": "a window function",
    "PARAMETER": "a placeholder",
    "STAR": "*",
}


def allowed_rows(metadata: MetadataTable, condition: str) -> Bool[np.ndarray, "row"]:
    """Say which rows fulfil a condition; where it is null, a row does not.

    Args:
        metadata: of the folder; its files are read one after the other, and of them only the
            columns that the condition names.
        condition: as in SQL's WHERE: `width > 500 AND license = 'cc0'`. Names that are no plain
            words stand in double quotes.

    Raises:
        SettingsError: it is no condition over these columns; the message names those there are.
        FolderError: a file of the metadata is damaged.
    """
    import duckdb

    with duckdb.connect(":memory:", config=_LOCKS) as connection:
        connection.execute("SET lock_configuration = true")
        columns = _check_condition(connection, condition, metadata.columns)
        allowed = np.zeros(metadata.size, np.bool_)
        sql = f"SELECT {_ROW} FROM {_TABLE} WHERE (\n{condition}\n)"
        for start, table in metadata.tables(columns):
            connection.register(_TABLE, _numbered(table, start))
            try:
                found = connection.execute(sql).fetchnumpy()[_ROW]
            except duckdb.Error as error:
                raise _refusal(condition, error, metadata.columns) from error
            allowed[np.asarray(found, np.int64)] = True
        return allowed


def _numbered(table: pa.Table, start: int) -> pa.Table:
    return table.append_column(_ROW, [np.arange(start, start + table.num_rows)])


def _check_condition(
    connection: duckdb.DuckDBPyConnection, condition: str, names: list[str]
) -> list[str]:
    """The columns that the condition reads, as the folder spells them.

    Raises:
        SettingsError: it is more or less than a condition over these columns.
    """
    if not condition.strip():
        raise SettingsError(f"where: the condition is empty; the columns are {', '.join(names)}")
    sql = f"SELECT 1 FROM {_TABLE} WHERE (\n{condition}\n)"
    (text,) = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()[0]
    parsed = json.loads(text)
    if parsed["error"]:
        raise _refusal(condition, parsed["error_message"], names)
    node = parsed["statements"][0]["node"]
    plain = len(parsed["statements"]) == 1 and node["type"] == "SELECT_NODE"
    if not plain or node["modifiers"] or node["group_expressions"] or node["having"]:
        raise _refusal(condition, "expected one condition", names)
    by_name = {name.lower(): name for name in names}
    lambdas = {name.lower() for name in _lambda_names(node["where_clause"])}
    found: dict[str, None] = {}
    for part in _parts(node["where_clause"]):
        if part.get("class") in _REFUSED:
            raise _refusal(condition, f"{_REFUSED[part['class']]} is not allowed", names)
        if part.get("function_name") in _GROWING:
            raise _refusal(condition, f"{part['function_name']}() is not allowed", names)
        if part.get("class") == "COLUMN_REF":
            first = part["column_names"][0]
            if first.lower() in by_name:
                found[by_name[first.lower()]] = None
            elif first.lower() not in lambdas:
                raise _refusal(condition, _unknown(part["column_names"], names), names)
    return list(found) or names[:1]  # a table without columns would have no rows


def _parts(part: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - JSON of DuckDB's
    if isinstance(part, dict):
        yield part
        for inner in part.values():
            yield from _parts(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _parts(inner)


def _lambda_names(clause: Any) -> Iterator[str]:  # noqa: ANN401 - JSON of DuckDB's
    for part in _parts(clause):
        if part.get("class") == "LAMBDA":
            for left in _parts(part.get("lhs")):
                yield from left.get("column_names", [])


def _unknown(path: list[str], names: list[str]) -> str:
    dotted = ".".join(path)
    if dotted in names:
        return f'write "{dotted}" in double quotes, since its name has a dot'
    return f"no column {path[0]!r}"


def _refusal(condition: str, reason: object, names: list[str]) -> SettingsError:
    line = " ".join(str(reason).split("\n\n")[0].split())
    return SettingsError(f"where {condition!r}: {line}; the columns are {', '.join(names)}")
