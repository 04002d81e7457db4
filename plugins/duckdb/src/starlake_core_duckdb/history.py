"""The write strategy SCD2: a row that changes gets a new version, and its old version an end.

The current version of a row has no end. Both stamps are the time of the load; the versions of the load that creates the table have no start,
because nobody knows when they began.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from .columns import insert_rows
from .driver import duckdb
from .sql import identifier, qualified
from .upserts import INCOMING, newest_rows, same_key

__all__ = ["write_versions"]

_SEQUENCE = "sl$sequence"


def write_versions(
    connection: duckdb.DuckDBPyConnection,
    target: tuple[str, str],
    source: str,
    names: Sequence[str],
    order: Sequence[str],
    *,
    key: Sequence[str],
    timestamp: str | None,
    period: tuple[str, str],
    only_newest: bool,
    created: bool,
    compat: bool,
) -> None:
    """Close the current versions that have newer ones among the new rows, and insert those.

    Rows that are not newer than the current version change nothing. Without a timestamp, a row is newer if it differs from the current version, and
    only the last new row of a key counts. The intermediate versions of several new ones are inserted with an end.

    Args:
        target: schema and table.
        source: the table with the new rows.
        names: the columns of the new rows, without those of the period.
        order: columns of the source that tell which row is the last.
        key: the columns of the key.
        timestamp: the column that tells which version is newer.
        period: the columns of the start and the end.
        only_newest: whether only the newest new row of a key counts.
        created: whether the table is new.
        compat: make every new row a current version, also several with one key, as Starlake does.
    """
    place, end = qualified(*target), identifier(period[1])
    same = same_key(key)
    if only_newest or timestamp is None:
        newest_rows(connection, source, names, key, order, timestamp)
    else:
        _number(connection, source, names, order)
    if timestamp is None:
        newer = f"({_differs(names)})"
    elif compat:
        newer = f"coalesce(i.{identifier(timestamp)} > t.{identifier(timestamp)}, false)"
    else:
        column = identifier(timestamp)
        newer = f"(i.{column} IS NOT NULL AND (t.{column} IS NULL OR i.{column} > t.{column}))"
    connection.execute(
        f"DELETE FROM {INCOMING} AS i USING {place} AS t WHERE {same} AND t.{end} IS NULL AND NOT {newer}"
    )
    values: dict[str, object] = {"now": datetime.now(timezone.utc), "created": created}
    stamp = "CAST(CAST($now AS TIMESTAMPTZ) AS TIMESTAMP)"
    connection.execute(
        f"UPDATE {place} AS t SET {end} = {stamp} WHERE t.{end} IS NULL AND EXISTS (SELECT 1 FROM {INCOMING} AS i WHERE {same})",
        {"now": values["now"]},
    )
    listed = ", ".join(identifier(name) for name in names)
    first = f"CASE WHEN $created THEN NULL ELSE {stamp} END"
    if compat or only_newest or timestamp is None:
        insert_rows(connection, target, [*names, *period], f"SELECT {listed}, {first}, NULL FROM {INCOMING}", values)
        return
    keys, unknown = (
        ", ".join(identifier(name) for name in key),
        " OR ".join(f"{identifier(name)} IS NULL" for name in key),
    )
    column = identifier(timestamp)
    ordered = f"(PARTITION BY {keys} ORDER BY {column} NULLS FIRST, {identifier(_SEQUENCE)})"
    insert_rows(
        connection,
        target,
        [*names, *period],
        f"SELECT {listed}, "
        f"CASE WHEN ({unknown}) OR lag(1) OVER {ordered} IS NULL THEN {first} ELSE {stamp} END, "
        f"CASE WHEN NOT ({unknown}) AND lead(1) OVER {ordered} IS NOT NULL THEN {stamp} END "
        f"FROM (SELECT * FROM {INCOMING} QUALIFY {unknown} "
        f"OR row_number() OVER (PARTITION BY {keys}, {column} ORDER BY {identifier(_SEQUENCE)} DESC) = 1)",
        values,
    )


def _number(connection: duckdb.DuckDBPyConnection, source: str, names: Sequence[str], order: Sequence[str]) -> None:
    """Copy the new rows, each with its place among them."""
    listed = ", ".join(identifier(name) for name in names)
    ordered = ", ".join(identifier(name) for name in order)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE sl_incoming AS SELECT {listed}, row_number() OVER (ORDER BY {ordered}) AS "
        f"{identifier(_SEQUENCE)} FROM {source}"
    )


def _differs(names: Sequence[str]) -> str:
    return " OR ".join(f"i.{identifier(name)} IS DISTINCT FROM t.{identifier(name)}" for name in names)
