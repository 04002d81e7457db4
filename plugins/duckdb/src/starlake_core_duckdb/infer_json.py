"""Infers the layout and the attributes of JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .driver import duckdb
from .errors import EngineError, NothingThere
from .inferred import TEXT, Field, Inferred, best_types

__all__ = ["field_of", "infer_json", "structure_of"]

_TYPES = {
    "UBIGINT": "long",
    "BIGINT": "long",
    "DOUBLE": "double",
    "HUGEINT": "double",
    "UHUGEINT": "double",
    "BOOLEAN": "boolean",
    "VARCHAR": TEXT,
}
_WHOLE = ("BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT")
_LONGEST_RECORD = 64 * 1024 * 1024
_LINES = (
    "SELECT line FROM read_csv($path, auto_detect = false, header = false, delim = $separator, quote = '', escape = '', "
    f"columns = {{'line': 'VARCHAR'}}, strict_mode = false, compression = 'uncompressed', max_line_size = {_LONGEST_RECORD})"
)


def infer_json(connection: duckdb.DuckDBPyConnection, path: Path, name: str, *, typed: bool = True) -> Inferred:
    """What a file says about its table.

    Args:
        path: a file in UTF-8 that is not compressed.
        name: the name of the file, for messages.
        typed: whether numbers and truth values are written as such; otherwise text may be one.

    Raises:
        NothingThere: the file has no objects.
        EngineError: it is not valid JSON.
    """
    layout = _layout(connection, path)
    source, parameters = _source(path, layout)
    try:
        structure = structure_of(connection, "json", source, parameters)
        if not isinstance(structure, dict) or not structure:
            raise NothingThere(f"{name} has no JSON objects, so nothing can be inferred from it")
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


def structure_of(connection: duckdb.DuckDBPyConnection, value: str, source: str, parameters: dict[str, str]) -> Any:
    """The structure of all JSON values of a column, as DuckDB's ``json_structure`` describes that of one.

    DuckDB's own aggregate collects all values in memory first.

    Args:
        value: SQL for the values.
        source: the query that has them.
        parameters: the values that the SQL needs.
    """
    cursor = connection.execute(f"SELECT DISTINCT json_structure({value}) FROM ({source})", parameters)
    found: Any = "NULL"
    while rows := cursor.fetchmany(1000):
        for (text,) in rows:
            found = _joined(found, _with_empty_objects(json.loads(text)) if text is not None else "NULL")
    return found


def _with_empty_objects(structure: Any) -> Any:
    """The structure of one value: outside of lists, what DuckDB calls JSON is an object without keys."""
    if isinstance(structure, dict):
        return {key: _with_empty_objects(part) for key, part in structure.items()}
    return {} if structure == "JSON" else structure


def _joined(one: Any, other: Any) -> Any:
    if one == other or other == "NULL":
        return one
    if one == "NULL":
        return other
    if isinstance(one, dict) and isinstance(other, dict):
        return {**one, **{key: _joined(one.get(key, "NULL"), part) for key, part in other.items()}}
    if isinstance(one, list) and isinstance(other, list):
        return [_joined(one[0] if one else "NULL", other[0] if other else "NULL")]
    numbers = {one, other} if isinstance(one, str) and isinstance(other, str) else set()
    if numbers and numbers <= {*_WHOLE, "DOUBLE"}:
        return "BIGINT" if numbers <= {"BIGINT", "UBIGINT"} else "DOUBLE"
    return "JSON"


def _source(path: Path, layout: str) -> tuple[str, dict[str, str]]:
    if layout == "newline_delimited":
        # DuckDB's reader of JSON needs many times the memory of its reader of lines.
        return f"SELECT CAST(line AS JSON) AS json FROM ({_LINES}) WHERE trim(line) <> ''", {
            "path": str(path),
            "separator": "\x01",
        }
    options = f"format = '{layout}', compression = 'uncompressed', maximum_object_size = {_LONGEST_RECORD}"
    return f"SELECT json FROM read_json_objects($path, {options})", {"path": str(path)}


def _layout(connection: duckdb.DuckDBPyConnection, path: Path) -> str:
    with path.open("rb") as source:
        beginning = source.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    if beginning.startswith(b"["):
        return "array"
    row = connection.execute(
        f"SELECT count(*) FROM ({_LINES}) WHERE trim(line) <> '' AND NOT json_valid(line)",
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
