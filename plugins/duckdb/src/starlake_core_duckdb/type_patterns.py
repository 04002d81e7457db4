"""The patterns of types, which are regular expressions of Java, as conditions in SQL.

Most of them are also patterns of RE2, which DuckDB matches. For the others (look-around, back references, possessive repetitions,
Unicode properties), the values of a file that match are put into a temporary table first.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlake_core_project import DataType, JavaPatternError, java_pattern

from .driver import duckdb
from .errors import ProjectFault
from .sql import Parameters

__all__ = [
    "TRUE_FALSE",
    "check_type_pattern",
    "matches_pattern",
    "patterns_without_re2",
    "remember_matches",
    "type_patterns",
]

TRUE_FALSE = "<-TF->"
_MATCHING = "temp.main.sl_matching"
# Starlake compiles the patterns of types as multi-line ones.
_FLAGS = "m"
_ROWS = 10_000


def type_patterns(kind: DataType | None) -> tuple[str, ...]:
    """The regular expressions of a type: none, one, or the two of a boolean."""
    if kind is None or not kind.pattern or kind.primitive_type in ("date", "timestamp"):
        return ()
    if kind.primitive_type == "boolean":
        true, separator, false = kind.pattern.partition(TRUE_FALSE)
        return (true, false) if separator else ()
    return (kind.pattern,)


def check_type_pattern(kind: DataType | None, where: str) -> None:
    """Refuse a pattern that no value can be compared with.

    Raises:
        ProjectFault: Java refuses a pattern of the type, or it cannot be translated.
    """
    for pattern in type_patterns(kind):
        try:
            java_pattern(pattern, _FLAGS)
        except JavaPatternError as error:
            raise ProjectFault(f"{where}: the pattern of the type {kind.name if kind else ''!r}: {error}") from error


def matches_pattern(value: str, pattern: str, parameters: Parameters) -> str:
    """A condition in SQL: the whole of a value matches a pattern.

    Args:
        value: the SQL name of the text; not NULL.
    """
    re2 = java_pattern(pattern, _FLAGS).re2
    if re2 is not None:
        return f"regexp_full_match({value}, {parameters.add(re2)})"
    return f"{value} IN (SELECT value FROM {_MATCHING} WHERE pattern = {parameters.add(pattern)})"


def patterns_without_re2(kind: DataType | None) -> tuple[str, ...]:
    """The patterns of a type that DuckDB cannot match."""
    return tuple(pattern for pattern in type_patterns(kind) if java_pattern(pattern, _FLAGS).re2 is None)


def remember_matches(
    connection: duckdb.DuckDBPyConnection,
    source: tuple[str, Parameters],
    wanted: Sequence[tuple[str, str]],
) -> None:
    """Put the values that match into the table that :func:`matches_pattern` reads; it replaces the values of earlier files.

    Args:
        source: the query that has the values, with its parameters.
        wanted: the column of the query and the pattern, for each pattern that DuckDB cannot match.
    """
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {_MATCHING} (pattern VARCHAR, value VARCHAR)")
    query, parameters = source
    for column, pattern in wanted:
        matches = java_pattern(pattern, _FLAGS).matches
        reader = connection.cursor()
        reader.execute(f"SELECT DISTINCT {column} FROM ({query}) WHERE {column} IS NOT NULL", parameters.values)
        while rows := reader.fetchmany(_ROWS):
            connection.execute(
                f"INSERT INTO {_MATCHING} SELECT $pattern, unnest($values)",
                {"pattern": pattern, "values": [value for (value,) in rows if matches(value)]},
            )
        reader.close()
