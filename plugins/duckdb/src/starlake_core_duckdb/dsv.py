"""Files of delimiter-separated values as a SQL source."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from starlake_core_project import Table

from .casting import Column
from .dialect import Dialect, dialect_of, header_of
from .errors import EngineError
from .sql import Parameters

__all__ = ["dsv_source"]


def _positions(
    table: Table, columns: Sequence[Column], path: Path, name: str, dialect: Dialect
) -> tuple[int, list[int | None]]:
    """How many fields a record has, and in which of them each column stands."""
    if not dialect.with_header:
        order = {id(attribute): index for index, attribute in enumerate(table.attributes)}
        return len(table.attributes), [order[id(column.attribute)] for column in columns]
    try:
        header = header_of(path, dialect)
    except (UnicodeError, csv.Error, OSError) as error:
        raise EngineError(f"{name}: the header cannot be read: {error}") from error
    if header is None:
        return len(columns), list(range(len(columns)))
    exact = {field: index for index, field in reversed(list(enumerate(header)))}
    folded = {field.casefold(): index for index, field in reversed(list(enumerate(header)))}
    places = [exact.get(column.attribute.name, folded.get(column.attribute.name.casefold())) for column in columns]
    if all(place is None for place in places):
        raise EngineError(
            f"{name}: its header names no attribute of {table.domain}.{table.name}: found {header}; "
            f"is metadata.separator {dialect.separator!r} right?"
        )
    missing = [
        column.attribute.name
        for column, place in zip(columns, places, strict=True)
        if place is None and column.attribute.required
    ]
    if missing:
        raise EngineError(f"{name}: its header lacks the required {', '.join(missing)}: found {header}")
    return len(header), places


def _value(fields: Sequence[str], place: int | None, column: Column, dialect: Dialect, parameters: Parameters) -> str:
    raw = "CAST(NULL AS VARCHAR)" if place is None else fields[place]
    trim = {"left": "ltrim", "right": "rtrim", "both": "trim"}.get((column.attribute.trim or "").lower())
    value = f"{trim}({raw})" if trim else raw
    if dialect.empty_is_null:
        value = f"nullif({value}, '')"
    if dialect.null_value:
        value = f"nullif({value}, {parameters.add(dialect.null_value)})"
    if column.attribute.default is not None:
        value = f"coalesce({value}, {parameters.add(column.attribute.default)})"
    return value


def _record(fields: Sequence[str], dialect: Dialect, parameters: Parameters) -> str:
    separator = parameters.add(dialect.separator)
    if not dialect.quote:
        return f"concat_ws({separator}, {', '.join(fields)})"
    quote = parameters.add(dialect.quote)
    doubled = parameters.add((dialect.escape or dialect.quote) + dialect.quote)
    shown = (
        f"CASE WHEN contains({field}, {quote}) OR contains({field}, {separator}) OR contains({field}, chr(10)) "
        f"THEN concat({quote}, replace({field}, {quote}, {doubled}), {quote}) ELSE {field} END"
        for field in fields
    )
    return f"concat_ws({separator}, {', '.join(shown)})"


def dsv_source(
    table: Table, columns: Sequence[Column], path: Path, name: str, rejects: str, parameters: Parameters
) -> str:
    """A query with ``n`` (1 is the first), ``record``, ``broken`` and ``v0``, ``v1`` ... for the columns.

    Records that are not well-formed do not come out of it; DuckDB puts them into a temporary table.

    Args:
        path: the file to read.
        name: what messages call it.
        rejects: the name of that temporary table.
        parameters: collects the values that the query needs.

    Raises:
        EngineError: the header does not fit the table.
    """
    for column in columns:
        if column.type is None or column.attribute.array:
            raise EngineError(
                f"{table.path}: attribute {column.attribute.name!r} is nested; DSV files hold plain values only"
            )
    dialect = dialect_of(table)
    width, places = _positions(table, columns, path, name, dialect)
    fields = [f"c{index}" for index in range(width)]
    values = ", ".join(
        f"{_value(fields, place, column, dialect, parameters)} AS v{index}"
        for index, (column, place) in enumerate(zip(columns, places, strict=True))
    )
    names = ", ".join(f"'{field}'" for field in fields)
    columns_read = ", ".join(f"'{field}': 'VARCHAR'" for field in fields)
    read = ", ".join(
        [
            parameters.add(str(path)),
            "auto_detect = false",
            f"header = {str(dialect.with_header).lower()}",
            f"delim = {parameters.add(dialect.separator)}",
            f"quote = {parameters.add(dialect.quote)}",
            f"escape = {parameters.add(dialect.escape if dialect.quote else '')}",
            # Otherwise DuckDB cannot tell an empty string from a missing value.
            f"force_not_null = [{names}]",
            f"columns = {{{columns_read}}}",
            f"compression = '{'gzip' if path.suffix == '.gz' else 'uncompressed'}'",
            "store_rejects = true",
            f"rejects_table = '{rejects}'",
            f"rejects_scan = '{rejects}_scan'",
        ]
    )
    return (
        f"SELECT row_number() OVER () AS n, {_record(fields, dialect, parameters)} AS record, "
        f"CAST(NULL AS VARCHAR) AS broken, {values} FROM read_csv({read})"
    )
