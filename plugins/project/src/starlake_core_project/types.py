"""Reads ``metadata/types``, and defines the built-in types."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .reader import Reader
from .schema import DataType, TypesFile

__all__ = ["BUILT_IN_TYPES", "TYPE_FILES", "read_types"]

TYPE_FILES = ("default.sl.yml", "types.sl.yml")
"""The files in ``metadata/types`` that Starlake reads; a type of the second replaces one of the first."""

_WHOLE = r"[-+]?[0-9]+"
_DECIMAL = r"[-+]?[0-9]*\.?[0-9]+(?:[Ee][-+]?[0-9]+)?"
_MOMENTS = """
basic_iso_date iso_local_date iso_offset_date iso_date iso_local_date_time iso_offset_date_time iso_zoned_date_time iso_date_time iso_ordinal_date
iso_week_date iso_instant rfc_1123_date_time
"""

BUILT_IN_TYPES: Mapping[str, DataType] = {
    entry.name: entry
    for entry in (
        DataType("string", "string", None, {"duckdb": "VARCHAR"}),
        DataType("variant", "variant", None, {"duckdb": "JSON"}),
        DataType("byte", "byte", _WHOLE, {"duckdb": "TINYINT"}),
        DataType("short", "short", _WHOLE, {"duckdb": "SMALLINT"}),
        DataType("int", "long", _WHOLE, {"duckdb": "INTEGER"}),
        DataType("integer", "long", _WHOLE, {"duckdb": "INTEGER"}),
        DataType("long", "long", _WHOLE, {"duckdb": "BIGINT"}),
        DataType("double", "double", _DECIMAL, {"duckdb": "DOUBLE"}),
        DataType("decimal", "decimal", _DECIMAL, {"duckdb": "DECIMAL(38, 9)"}),
        DataType("boolean", "boolean", "(?i)true|yes|y|t|1<-TF->(?i)false|no|n|f|0", {"duckdb": "BOOLEAN"}),
        DataType("date", "date", "yyyy-MM-dd", {"duckdb": "DATE"}),
        DataType("timestamp", "timestamp", "yyyy-MM-dd HH:mm:ss", {"duckdb": "TIMESTAMPTZ"}),
        *(DataType(name, "timestamp", name.upper(), {"duckdb": "TIMESTAMPTZ"}) for name in _MOMENTS.split()),
    )
}


def read_types(metadata: Path, reader: Reader) -> dict[str, DataType]:
    """Return the types of a project by name: the built-in types, overridden by the two files that Starlake reads.

    Raises:
        ProjectError: a file is invalid, or a type has no name.
    """
    types = dict(BUILT_IN_TYPES)
    for name in TYPE_FILES:
        path = metadata / "types" / name
        if path.is_file():
            types.update((entry.name, entry) for entry in reader.read(path, TypesFile).types or ())
    return types
