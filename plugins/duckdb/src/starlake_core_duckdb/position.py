"""Files with values at fixed positions of a line, as a SQL source."""

from __future__ import annotations

from starlake_core_project import Table

from .casting import Column
from .errors import ProjectFault
from .lines import lines_source
from .reading import Reading
from .sql import Parameters

__all__ = ["check_positions", "position_source"]


def check_positions(table: Table) -> None:
    """Refuse a table whose attributes do not say where their values are.

    Raises:
        ProjectFault: a position is missing or impossible, an attribute is nested, or the files are said to have a header.
    """
    if table.metadata.format.with_header:
        raise ProjectFault(f"{table.path}: metadata.withHeader is true; files of the format POSITION have no header")
    for attribute in table.attributes:
        where = f"{table.path}: attribute {attribute.name!r}"
        if attribute.attributes or attribute.array or attribute.type.lower() == "struct":
            raise ProjectFault(f"{where} is nested; files of the format POSITION hold plain values only")
        if attribute.ignore or attribute.script:
            continue
        position = attribute.position
        if position is None:
            raise ProjectFault(
                f"{where} has no position, which the format POSITION needs; add position: {{first: 0, last: 9}}, "
                "where 0 is the first character of a line"
            )
        if not 0 <= position.first <= position.last:
            raise ProjectFault(
                f"{where}: position.first is {position.first} and position.last is {position.last}; "
                "they count characters from 0, and last is not before first"
            )


def _value(column: Column, table: Table, compat: bool, parameters: Parameters) -> str:
    position = column.attribute.position
    assert position is not None  # check_positions saw it
    first, last = int(position.first), int(position.last)
    value = f"substring(line, {first + 1}, {last - first + 1})"
    if compat:  # Starlake drops a value that the line cuts off.
        value = f"CASE WHEN length(line) > {last} THEN {value} ELSE '' END"
    trim = {"left": "ltrim", "right": "rtrim", "both": "trim"}.get((column.attribute.trim or "").lower())
    value = f"{trim}({value})" if trim else value
    if table.metadata.format.empty_is_null is not False:
        value = f"nullif({value}, '')"
    if table.metadata.format.null_value:
        value = f"nullif({value}, {parameters.add(table.metadata.format.null_value)})"
    if column.attribute.default is not None:
        value = f"coalesce({value}, {parameters.add(column.attribute.default)})"
    return value


def position_source(reading: Reading, parameters: Parameters) -> str:
    """A query with ``n`` (1 is the first line), ``record``, ``broken`` and ``v0``, ``v1`` ... for the columns.

    Empty lines are skipped; in Starlake, they are rows.
    """
    compat = reading.rules.compat
    values = "".join(
        f", {_value(column, reading.table, compat, parameters)} AS v{index}"
        for index, column in enumerate(reading.columns)
    )
    lines = lines_source(reading, parameters)
    kept = "" if compat else " WHERE line <> ''"
    return (
        f"SELECT n, line AS record, CAST(NULL AS VARCHAR) AS broken{values} FROM ("
        f"SELECT n, coalesce(line, '') AS line FROM ({lines})){kept}"
    )
