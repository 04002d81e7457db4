"""Finds out whether the first line of a file with delimiter-separated values holds names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from .driver import duckdb
from .inferred import TEXT, best_types

__all__ = ["holds_names"]

_DATA = re.compile(r"[-+]?[0-9]+([.,][0-9]+)?([eE][-+]?[0-9]+)?|[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}([T ].*)?")
_YEAR = "(19|20)[0-9]{2}"
_MISSING = frozenset({"-", "?", "n/a", "na", "nan", "nil", "none", "null", "unknown"})


def holds_names(
    connection: duckdb.DuckDBPyConnection,
    first: Sequence[str],
    rest: Sequence[Sequence[str]],
    source: str,
    parameters: Mapping[str, Any],
) -> bool:
    """Whether the first line is a header: its values are compared with the columns below them.

    A word above numbers or dates is a name, and a number above numbers is a value, unless the numbers are those with which pandas
    names columns, or years. An empty value says nothing, unless the column below it counts the lines.

    Args:
        first: the values of the first line.
        rest: the types of the columns without that line, the best one first; none for a column without values.
        source: the query with the columns ``c0``, ``c1`` ... without that line.
        parameters: the values that the query needs.
    """
    given = {f"v{index}": value for index, value in enumerate(first)}
    own = best_types(
        connection,
        [f"nullif({name}, '')" for name in given],
        f"SELECT {', '.join(f'CAST(${name} AS VARCHAR) AS {name}' for name in given)}",
        given,
    )
    columns = [(value, mine, types) for value, mine, types in zip(first, own, rest, strict=True) if value and types]
    typed = [(value, types[0] in mine) for value, mine, types in columns if types[0] != TEXT]
    if any(not fits and value.lower() not in _MISSING and not _DATA.fullmatch(value) for value, fits in typed):
        return True
    if not typed:
        counted = len(first) > 1 and list(first) == [str(index) for index in range(len(first))]
        return counted or (any(first) and not any(_DATA.fullmatch(value) for value in first))
    return (not first[0] and len(first) > 1 and _counts_lines(connection, source, parameters)) or _are_years(
        connection, first, source, parameters
    )


def _counts_lines(connection: duckdb.DuckDBPyConnection, source: str, parameters: Mapping[str, Any]) -> bool:
    """Whether the first column has the numbers of the lines, from 0 or 1."""
    found = connection.execute(
        "SELECT bool_and(coalesce(counted = line - 1, false)) OR bool_and(coalesce(counted = line, false)) "
        f"FROM (SELECT TRY_CAST(c0 AS BIGINT) AS counted, row_number() OVER () AS line FROM ({source}))",
        dict(parameters),
    ).fetchone()
    return bool(found and found[0])


def _are_years(
    connection: duckdb.DuckDBPyConnection, first: Sequence[str], source: str, parameters: Mapping[str, Any]
) -> bool:
    """Whether the numbers in the first line are years that follow each other, and no value below them is a year."""
    places = [index for index, value in enumerate(first) if _DATA.fullmatch(value)]
    years = [first[place] for place in places]
    if len(years) < 2 or not all(re.fullmatch(_YEAR, year) for year in years):
        return False
    steps = {int(later) - int(year) for year, later in pairwise(years)}
    if steps not in ({1}, {-1}):
        return False
    below = " OR ".join(f"regexp_full_match(trim(c{place}), '{_YEAR}')" for place in places)
    return connection.execute(f"SELECT 1 FROM ({source}) WHERE {below} LIMIT 1", dict(parameters)).fetchone() is None
