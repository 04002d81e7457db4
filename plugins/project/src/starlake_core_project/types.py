"""Reads ``metadata/types`` and knows the types that every project has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .errors import ProjectError
from .fields import Fields
from .model import DataType
from .text import read_yaml

__all__ = ["BUILT_IN_TYPES", "read_types"]

_WHOLE = r"[-+]?[0-9]+"
_DECIMAL = r"[-+]?[0-9]*\.?[0-9]+(?:[Ee][-+]?[0-9]+)?"

BUILT_IN_TYPES: Mapping[str, DataType] = {
    entry.name: entry
    for entry in (
        DataType("string", "string", None, {"duckdb": "VARCHAR"}),
        DataType("byte", "byte", _WHOLE, {"duckdb": "TINYINT"}),
        DataType("short", "short", _WHOLE, {"duckdb": "SMALLINT"}),
        DataType("int", "int", _WHOLE, {"duckdb": "INTEGER"}),
        DataType("long", "long", _WHOLE, {"duckdb": "BIGINT"}),
        DataType("double", "double", _DECIMAL, {"duckdb": "DOUBLE"}),
        DataType("decimal", "decimal", _DECIMAL, {"duckdb": "DECIMAL(38, 9)"}),
        DataType("boolean", "boolean", "(?i)true|yes|y|1<-TF->(?i)false|no|n|0", {"duckdb": "BOOLEAN"}),
        DataType("date", "date", "yyyy-MM-dd", {"duckdb": "DATE"}),
        DataType("timestamp", "timestamp", "ISO_DATE_TIME", {"duckdb": "TIMESTAMP"}),
    )
}


def read_types(metadata: Path, variables: Mapping[str, str]) -> dict[str, DataType]:
    """The types of a project by name: the built-in ones, overridden by its own files in sorted order.

    Raises:
        ProjectError: a file is broken or a type has no name.
    """
    types = dict(BUILT_IN_TYPES)
    for path in sorted((metadata / "types").glob("*.sl.yml")):
        for entry in Fields.document(read_yaml(path, variables), path).children("types"):
            name = entry.text("name")
            if not name:
                raise ProjectError(f"{path}: {entry.where} has no name")
            types[name] = DataType(
                name=name,
                primitive_type=(entry.text("primitiveType") or "string").lower(),
                pattern=entry.text("pattern"),
                ddl_mapping={engine.lower(): ddl for engine, ddl in entry.mapping("ddlMapping").items()},
            )
    return types
