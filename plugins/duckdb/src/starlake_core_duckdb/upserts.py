"""Write strategies that replace rows: by key, by key and timestamp, and by partition.

A key is compared with ``=``, as in Starlake: a row whose key is NULL replaces nothing and is replaced by nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from .driver import duckdb
from .sql import identifier, qualified

__all__ = ["INCOMING", "newest_rows", "replace_by_key", "replace_by_timestamp", "replace_partitions", "same_key"]

INCOMING = "temp.main.sl_incoming"


def same_key(key: Sequence[str], left: str = "t", right: str = "i") -> str:
    """The condition that two rows have one key.

    Args:
        key: the columns of the key.
        left: the alias of one table.
        right: the alias of the other table.
    """
    return " AND ".join(f"{left}.{identifier(name)} = {right}.{identifier(name)}" for name in key)


def newest_rows(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    names: Sequence[str],
    key: Sequence[str],
    order: Sequence[str],
    timestamp: str | None = None,
) -> str:
    """Copy the rows of a table, but of those with one key only the newest, or the last one of several newest.

    Args:
        source: the table.
        names: the columns to copy.
        key: the columns of the key.
        order: columns that tell which row is the last.
        timestamp: the column that tells which row is the newest; by default, the last one is.

    Returns:
        The temporary table.
    """
    listed = ", ".join(identifier(name) for name in names)
    keys = ", ".join(identifier(name) for name in key)
    last = ", ".join(f"{identifier(name)} DESC" for name in order)
    newest = f"{identifier(timestamp)} DESC NULLS LAST, " if timestamp else ""
    unknown = " OR ".join(f"{identifier(name)} IS NULL" for name in key)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE sl_incoming AS SELECT {listed} FROM {source} "
        f"QUALIFY {unknown} OR row_number() OVER (PARTITION BY {keys} ORDER BY {newest}{last}) = 1"
    )
    return INCOMING


def replace_by_key(
    connection: duckdb.DuckDBPyConnection, target: tuple[str, str], key: Sequence[str], source: str
) -> None:
    """Delete the rows of the target that have the key of a new row.

    Args:
        target: schema and table.
        key: the columns of the key.
        source: the table with the new rows.
    """
    connection.execute(
        f"DELETE FROM {qualified(*target)} AS t USING {_distinct(source, key)} AS i WHERE {same_key(key)}"
    )


def replace_by_timestamp(
    connection: duckdb.DuckDBPyConnection, target: tuple[str, str], key: Sequence[str], timestamp: str, compat: bool
) -> None:
    """Delete the rows of the target that are not newer than a new row with their key, and the new rows that are older than a row of the target.

    A row without a timestamp is the oldest. The new rows are in :data:`INCOMING`.

    Args:
        target: schema and table.
        key: the columns of the key.
        timestamp: the column that tells which row is newer.
        compat: keep both of two rows with one key if none of them is newer, as Starlake does.
    """
    place, column, same = qualified(*target), identifier(timestamp), same_key(key)
    if compat:
        keys = ", ".join(identifier(name) for name in key)
        newest = f"SELECT {keys}, max({column}) AS {column} FROM"
        connection.execute(
            f"DELETE FROM {place} AS t USING ({newest} {INCOMING} GROUP BY {keys}) AS i WHERE {same} AND i.{column} > t.{column}"
        )
        connection.execute(
            f"DELETE FROM {INCOMING} AS i USING ({newest} {place} GROUP BY {keys}) AS t WHERE {same} AND i.{column} < t.{column}"
        )
        return
    connection.execute(
        f"DELETE FROM {INCOMING} AS i USING {place} AS t WHERE {same} "
        f"AND (t.{column} > i.{column} OR (t.{column} IS NOT NULL AND i.{column} IS NULL))"
    )
    connection.execute(f"DELETE FROM {place} AS t USING {INCOMING} AS i WHERE {same}")


def replace_partitions(
    connection: duckdb.DuckDBPyConnection, target: tuple[str, str], partition: Sequence[str], source: str, compat: bool
) -> None:
    """Delete the partitions of the target that the new rows have; the rows with NULL are a partition too.

    Args:
        target: schema and table.
        partition: the columns of a partition.
        source: the table with the new rows.
        compat: keep the rows with NULL, as Starlake does.
    """
    equal = "=" if compat else "IS NOT DISTINCT FROM"
    same = " AND ".join(f"t.{identifier(name)} {equal} i.{identifier(name)}" for name in partition)
    connection.execute(f"DELETE FROM {qualified(*target)} AS t USING {_distinct(source, partition)} AS i WHERE {same}")


def _distinct(source: str, names: Sequence[str]) -> str:
    """The values of some columns, each once: a join with all rows would pair every new row with every old one of its partition."""
    listed = ", ".join(identifier(name) for name in names)
    return f"(SELECT DISTINCT {listed} FROM {source})"
