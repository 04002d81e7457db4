"""Infers the layout and the attributes of JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb

from .errors import EngineError
from .inferred import TEXT, Field, Inferred, best_types

__all__ = ["field_of", "infer_json"]

_TYPES = {
    "UBIGINT": "long",
    "BIGINT": "long",
    "DOUBLE": "double",
    "HUGEINT": "double",
    "UHUGEINT": "double",
    "BOOLEAN": "boolean",
    "VARCHAR": TEXT,
}
_LONGEST_RECORD = 64 * 1024 * 1024


def infer_json(connection: duckdb.DuckDBPyConnection, path: Path, name: str, *, typed: bool = True) -> Inferred:
    """What a file says about its table.

    Args:
        path: a file in UTF-8 that is not compressed.
        name: the name of the file, for messages.
        typed: whether numbers and truth values are written as such; otherwise text may be one.

    Raises:
        EngineError: the file has no objects, or is not valid JSON.
    """
    layout = _layout(connection, path)
    source = f"SELECT json FROM read_json_objects($path, format = '{layout}', compression = 'uncompressed', maximum_object_size = {_LONGEST_RECORD})"
    parameters = {"path": str(path)}
    try:
        row = connection.execute(f"SELECT json_group_structure(json) FROM ({source})", parameters).fetchone()
        structure = json.loads(row[0]) if row and row[0] else None
        if not isinstance(structure, dict):
            raise EngineError(f"{name} has no JSON objects, so nothing can be inferred from it")
        fields = [field_of(key, kind) for key, kind in structure.items()]
        texts = [index for index, found in enumerate(fields) if found.types == (TEXT,) and not found.array]
        pointers = {f"p{index}": _pointer(fields[index].name) for index in texts}
        better = best_types(
            connection,
            [f"nullif(json_extract_string(json, $p{index}), '')" for index in texts],
            source,
            {**parameters, **pointers},
        )
    except duckdb.Error as error:
        raise EngineError(f"{name} cannot be read as JSON: {error}") from error
    for index, types in zip(texts, better, strict=True):
        # Text that looks like a number or a truth value is text in JSON.
        moments = tuple(found for found in types if found in ("date", "timestamp", "iso_date_time", TEXT))
        fields[index] = Field(fields[index].name, moments if typed else types)
    nested = any(found.array or found.fields for found in fields)
    metadata: dict[str, Any] = {"format": "JSON" if nested else "JSON_FLAT", "array": layout == "array"}
    if layout == "unstructured":
        metadata["multiline"] = True
    return Inferred(metadata, tuple(fields))


def _layout(connection: duckdb.DuckDBPyConnection, path: Path) -> str:
    with path.open("rb") as source:
        beginning = source.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    if beginning.startswith(b"["):
        return "array"
    row = connection.execute(
        "SELECT count(*) FROM read_csv($path, auto_detect = false, header = false, delim = $separator, quote = '', escape = '', "
        f"columns = {{'line': 'VARCHAR'}}, strict_mode = false, compression = 'uncompressed', max_line_size = {_LONGEST_RECORD}) "
        "WHERE trim(line) <> '' AND NOT json_valid(line)",
        {"path": str(path), "separator": "\x01"},
    ).fetchone()
    return "unstructured" if row and row[0] else "newline_delimited"


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")


def field_of(name: str, kind: Any) -> Field:
    """The column that a structure of DuckDB's ``json_structure`` describes."""
    return _field(name, kind, top=True)


def _field(name: str, kind: Any, top: bool = False) -> Field:
    array = isinstance(kind, list)
    inner = kind[0] if array and kind else kind
    if isinstance(inner, dict) and inner:
        return Field(name, ("struct",), array, tuple(_field(key, part) for key, part in inner.items()))
    if inner == "NULL":
        return Field(name, (TEXT,) if array else (), array)
    if isinstance(inner, (dict, list)) or inner not in _TYPES:
        # Values of several kinds, lists of lists, and objects without keys.
        return Field(name, ("variant",) if top else (TEXT,), array and not top)
    return Field(name, _with_text(_TYPES[inner]), array)


def _with_text(*types: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*types, TEXT)))
