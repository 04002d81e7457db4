"""JSON files as a SQL source: one object per line, or one array of objects."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

from starlake_core_project import Table

from .casting import Column
from .sql import Parameters

__all__ = ["json_source"]

_LONGEST_RECORD = 64 * 1024 * 1024


def _begins_with_bracket(path: Path) -> bool:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as source:
        while chunk := source.read(4096):
            text = chunk.removeprefix(b"\xef\xbb\xbf").lstrip()
            if text:
                return text.startswith(b"[")
    return False


def _records(table: Table, path: Path, rejects: str, compat: bool, parameters: Parameters) -> str:
    file_format = table.metadata.format
    place = parameters.add(str(path))
    # Decompress only files whose decompressed size was checked.
    compression = f"compression = '{'gzip' if path.suffix == '.gz' else 'uncompressed'}'"
    is_array = file_format.array is not False and _begins_with_bracket(path)
    # Objects one after the other where an array is wanted; Starlake reads the first of them only.
    objects = bool(file_format.array) and not is_array
    if is_array or objects or file_format.multiline:
        layout = "array" if is_array else "unstructured"
        first = " LIMIT 1" if objects and compat else ""
        return (
            f"SELECT row_number() OVER () AS n, CAST(json AS VARCHAR) AS line "
            f"FROM read_json_objects({place}, format = '{layout}', {compression}, maximum_object_size = {_LONGEST_RECORD}){first}"
        )
    # The CSV reader, with a separator that JSON cannot contain: it hands over a broken line instead of failing.
    return (
        "SELECT row_number() OVER () AS n, line FROM "
        f"read_csv({place}, {compression}, auto_detect = false, header = false, delim = {parameters.add(chr(1))}, "
        "quote = '', escape = '', columns = {'line': 'VARCHAR'}, strict_mode = false, "
        f"max_line_size = {_LONGEST_RECORD}, store_rejects = true, rejects_table = '{rejects}', rejects_scan = '{rejects}_scan')"
    )


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _value(index: int, column: Column, parameters: Parameters) -> str:
    if column.nested:
        found = f"json_extract(object, {parameters.add(_pointer(column.attribute.name))})"
        return f"CASE WHEN json_type({found}) <> 'NULL' THEN {found} END AS v{index}"
    value = f"texts[{index + 1}]"
    trim = {"left": "ltrim", "right": "rtrim", "both": "trim"}.get((column.attribute.trim or "").lower())
    if trim:
        value = f"{trim}({value})"
    if column.attribute.default is not None:
        value = f"coalesce({value}, {parameters.add(column.attribute.default)})"
    return f"{value} AS v{index}"


def json_source(
    table: Table, columns: Sequence[Column], path: Path, rejects: str, parameters: Parameters, compat: bool = False
) -> str:
    """A query with ``n`` (1 is the first), ``record``, ``broken`` and ``v0``, ``v1`` ... for the columns.

    Args:
        path: the file to read.
        rejects: the name of the temporary table for lines that cannot be read at all.
        parameters: collects the values that the query needs.
        compat: whether a broken line fails the file, as in Starlake.
    """
    broken = "error('the file is not valid JSON')" if compat else "'the line is not valid JSON'"
    pointers = parameters.add([_pointer(column.attribute.name) for column in columns])
    values = ", ".join(_value(index, column, parameters) for index, column in enumerate(columns))
    return (
        f"SELECT n, line AS record, broken, {values} FROM ("
        f"SELECT *, json_extract_string(object, {pointers}) AS texts FROM ("
        "SELECT *, CASE WHEN broken IS NULL THEN CAST(line AS JSON) END AS object FROM ("
        f"SELECT *, CASE WHEN NOT json_valid(line) THEN {broken} "
        "WHEN json_type(line) <> 'OBJECT' THEN 'the line is not a JSON object' END AS broken "
        f"FROM ({_records(table, path, rejects, compat, parameters)}) WHERE trim(line) <> '')))"
    )
