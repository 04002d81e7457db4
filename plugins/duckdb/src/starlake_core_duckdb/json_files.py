"""JSON files as a SQL source: one object per line, or one array of objects."""

from __future__ import annotations

from pathlib import Path

from .casting import Column
from .compressed import open_bytes
from .lines import LONGEST_LINE, lines_source
from .reading import Reading
from .sql import Parameters

__all__ = ["has_lines", "json_source"]

_MANY_DIGITS = "'[0-9.]{18}'"
_LONG_NUMBER = "'(-?[0-9.]{18,})([^0-9.eE]|$)'"
_PARTS = r"""'"(?:[^"\\]|\\.)*"|[^"]+'"""
"""A string of JSON, or what is between strings."""


def _begins_with_bracket(path: Path) -> bool:
    with open_bytes(path) as source:
        while chunk := source.read(4096):
            text = chunk.removeprefix(b"\xef\xbb\xbf").lstrip()
            if text:
                return text.startswith(b"[")
    return False


def has_lines(reading: Reading) -> bool:
    """Whether each line of a file is an object, because the table says nothing else and the file is not an array."""
    file_format = reading.table.metadata.format
    return not file_format.multiline and not file_format.array and not _is_array(reading)


def _is_array(reading: Reading) -> bool:
    return reading.table.metadata.format.array is not False and _begins_with_bracket(reading.path)


def _begins_with_object(reading: Reading) -> bool:
    """Whether objects follow each other where an array is wanted."""
    return bool(reading.table.metadata.format.array) and not _begins_with_bracket(reading.path)


def _records(reading: Reading, parameters: Parameters) -> str:
    if has_lines(reading):
        return lines_source(reading, parameters)
    layout = "array" if _is_array(reading) else "unstructured"
    # Starlake reads the first object only if there is no array where one is wanted.
    first = " LIMIT 1" if reading.rules.compat and _begins_with_object(reading) else ""
    # Decompress only files whose decompressed size was checked.
    compression = f"compression = '{'gzip' if reading.path.suffix == '.gz' else 'uncompressed'}'"
    return (
        f"SELECT row_number() OVER () AS n, CAST(json AS VARCHAR) AS line FROM read_json_objects("
        f"{parameters.add(str(reading.path))}, format = '{layout}', {compression}, maximum_object_size = {LONGEST_LINE}){first}"
    )


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _has_json(column: Column) -> bool:
    return any(map(_has_json, column.fields)) if column.fields else column.ddl.startswith("JSON")


def _precise(line: str) -> str:
    """SQL for a record whose long numbers are strings: a number in JSON has 17 digits for DuckDB, and more of them are rounded."""
    parts = f"regexp_extract_all({line}, {_PARTS})"
    quoted = f"regexp_replace(part, {_LONG_NUMBER}, '\"\\1\"\\2', 'g')"
    joined = (
        f"array_to_string([CASE WHEN starts_with(part, chr(34)) THEN part ELSE {quoted} END FOR part IN {parts}], '')"
    )
    return f"CASE WHEN regexp_matches({line}, {_MANY_DIGITS}) THEN {joined} ELSE {line} END"


def _value(index: int, column: Column, empty_is_null: bool, parameters: Parameters) -> str:
    if column.nested:
        # A value of JSON stays as it is.
        found = f"json_extract({'object' if _has_json(column) else 'precise'}, {parameters.add(_pointer(column.attribute.name))})"
        return f"CASE WHEN json_type({found}) <> 'NULL' THEN {found} END AS v{index}"
    value = f"texts[{index + 1}]"
    trim = {"left": "ltrim", "right": "rtrim", "both": "trim"}.get((column.attribute.trim or "").lower())
    if trim:
        value = f"{trim}({value})"
    if empty_is_null:
        value = f"nullif({value}, '')"
    if column.attribute.default is not None:
        value = f"coalesce({value}, {parameters.add(column.attribute.default)})"
    return f"{value} AS v{index}"


def json_source(reading: Reading, parameters: Parameters) -> str:
    """A query with ``n`` (1 is the first), ``record``, ``broken`` and ``v0``, ``v1`` ... for the columns.

    Args:
        parameters: collects the values that the query needs.
    """
    columns = reading.columns
    # In Starlake, a broken line fails the file.
    broken = "error('the file is not valid JSON')" if reading.rules.compat else "'the line is not valid JSON'"
    pointers = parameters.add([_pointer(column.attribute.name) for column in columns])
    empty_is_null = reading.table.metadata.format.empty_is_null is not False
    values = ", ".join(_value(index, column, empty_is_null, parameters) for index, column in enumerate(columns))
    return (
        f"SELECT n, line AS record, broken, {values} FROM ("
        f"SELECT *, json_extract_string(precise, {pointers}) AS texts FROM ("
        f"SELECT *, CASE WHEN broken IS NULL THEN CAST(line AS JSON) END AS object, "
        f"CASE WHEN broken IS NULL THEN CAST({_precise('line')} AS JSON) END AS precise FROM ("
        f"SELECT *, CASE WHEN NOT json_valid(line) THEN {broken} "
        "WHEN json_type(line) <> 'OBJECT' THEN 'the line is not a JSON object' END AS broken "
        f"FROM ({_records(reading, parameters)}) WHERE trim(line) <> '')))"
    )
