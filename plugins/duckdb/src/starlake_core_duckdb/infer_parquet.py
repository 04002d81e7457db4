"""Infers the attributes of Parquet files from the types that they declare."""

from __future__ import annotations

import re
from pathlib import Path

from .driver import duckdb
from .errors import EngineError
from .infer_json import field_of, structure_of
from .inferred import TEXT, Field, Inferred
from .sql import identifier

__all__ = ["infer_parquet"]

_TYPES = {
    "TINYINT": ("byte", "short", "int"),
    "SMALLINT": ("short", "int"),
    "UTINYINT": ("short", "int"),
    "INTEGER": ("int", "long"),
    "USMALLINT": ("int", "long"),
    "BIGINT": ("long",),
    "UINTEGER": ("long",),
    "UBIGINT": ("long", "double"),
    "HUGEINT": ("double",),
    "FLOAT": ("double",),
    "DOUBLE": ("double",),
    "BOOLEAN": ("boolean",),
    "DATE": ("date",),
    "TIMESTAMP": ("timestamp", "iso_date_time"),
}


def infer_parquet(connection: duckdb.DuckDBPyConnection, path: Path, name: str) -> Inferred:
    """What a file says about its table.

    Args:
        name: the name of the file, for messages.

    Raises:
        EngineError: the file is not a Parquet file.
    """
    parameters = {"path": str(path)}
    try:
        columns = connection.execute(
            "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM read_parquet($path))", parameters
        ).fetchall()
        fields = [
            _nested(connection, column, parameters)
            if kind.startswith(("STRUCT", "MAP")) or kind.endswith("]")
            else Field(column, _types(kind))
            for column, kind in columns
        ]
    except duckdb.Error as error:
        raise EngineError(f"{name} cannot be read as PARQUET: {error}") from error
    return Inferred({"format": "PARQUET"}, tuple(fields))


def _types(kind: str) -> tuple[str, ...]:
    decimal = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", kind)
    if decimal:
        # The type decimal has 29 digits before the point and 9 after it.
        fits = int(decimal[2]) <= 9 and int(decimal[1]) - int(decimal[2]) <= 29
        return ("decimal", TEXT) if fits else ("double", TEXT)
    return (*_TYPES.get("TIMESTAMP" if kind.startswith("TIMESTAMP") else kind, ()), TEXT)


def _nested(connection: duckdb.DuckDBPyConnection, column: str, parameters: dict[str, str]) -> Field:
    source = f"SELECT to_json({identifier(column)}) AS json FROM read_parquet($path)"
    return field_of(column, structure_of(connection, "json", source, parameters))
