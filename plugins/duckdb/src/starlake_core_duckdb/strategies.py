"""Write strategies: how the rows of a temporary table change the rows of the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
from starlake_core_project import WriteStrategy

from .errors import ProjectFault, unsupported
from .sql import identifier, qualified

__all__ = ["Strategy", "checked_strategy", "ensure_table", "write"]

_KEYED = ("UPSERT_BY_KEY", "UPSERT_BY_KEY_AND_TIMESTAMP")


@dataclass(frozen=True)
class Strategy:
    """A write strategy that this engine supports, with the columns it needs."""

    type: str
    key: tuple[str, ...] = ()
    timestamp: str | None = None


def checked_strategy(
    declared: WriteStrategy, default: str, primary_key: Sequence[str], renamed: Mapping[str, str], what: str
) -> Strategy:
    """What a project asks for, complete.

    Args:
        declared: what the YAML says.
        default: the strategy if it declares none.
        primary_key: the key when the strategy has none of its own.
        renamed: attribute name to column name.
        what: what the strategy is for, for messages.

    Raises:
        ProjectFault: this engine cannot do it, or the key is missing.
    """
    if declared.types:
        raise unsupported(f"the adaptive write strategy of {what}")
    kind = declared.type or default
    if kind not in ("APPEND", "OVERWRITE", *_KEYED):
        raise unsupported(f"the write strategy {kind} of {what}")
    if kind not in _KEYED:
        return Strategy(kind)
    key = tuple(renamed.get(name, name) for name in declared.key or primary_key)
    if not key:
        raise ProjectFault(f"{what}: the write strategy {kind} needs writeStrategy.key or primaryKey")
    if kind == "UPSERT_BY_KEY":
        return Strategy(kind, key)
    if not declared.timestamp:
        raise ProjectFault(f"{what}: the write strategy {kind} needs writeStrategy.timestamp")
    return Strategy(kind, key, renamed.get(declared.timestamp, declared.timestamp))


def ensure_table(
    connection: duckdb.DuckDBPyConnection, schema: str, table: str, columns: Sequence[tuple[str, str]]
) -> None:
    """Create the target, or add the columns that it lacks.

    Args:
        columns: name and type.
    """
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(schema)}")
    declared = ", ".join(f"{identifier(name)} {ddl}" for name, ddl in columns)
    connection.execute(f"CREATE TABLE IF NOT EXISTS {qualified(schema, table)} ({declared})")
    present = {
        row[0].lower()
        for row in connection.execute(
            "SELECT column_name FROM duckdb_columns() WHERE database_name = current_database() "
            "AND lower(schema_name) = lower($schema) AND lower(table_name) = lower($table)",
            {"schema": schema, "table": table},
        ).fetchall()
    }
    for name, ddl in columns:
        if name.lower() not in present:
            connection.execute(f"ALTER TABLE {qualified(schema, table)} ADD COLUMN {identifier(name)} {ddl}")


def _check_columns(strategy: Strategy, names: Sequence[str], what: str) -> None:
    known = {name.lower() for name in names}
    wanted = [*strategy.key, *([strategy.timestamp] if strategy.timestamp else [])]
    missing = [name for name in wanted if name.lower() not in known]
    if missing:
        raise ProjectFault(
            f"{what}: the write strategy {strategy.type} names {', '.join(missing)}, "
            f"which is not a column (columns: {', '.join(names)})"
        )


def write(
    connection: duckdb.DuckDBPyConnection,
    strategy: Strategy,
    target: tuple[str, str],
    source: str,
    names: Sequence[str],
    order: Sequence[str],
) -> None:
    """Write the rows of a temporary table into an existing target.

    Args:
        target: schema and table.
        source: the temporary table.
        names: the columns to write.
        order: columns of the source; of two rows with one key the last one stays.

    Raises:
        ProjectFault: the strategy names a column that is not there.
    """
    place = qualified(*target)
    listed = ", ".join(identifier(name) for name in names)
    _check_columns(strategy, names, f"{target[0]}.{target[1]}")
    if strategy.type in _KEYED:
        keys = ", ".join(identifier(name) for name in strategy.key)
        latest = ", ".join(f"{identifier(name)} DESC" for name in order)
        newest = f"{identifier(strategy.timestamp)} DESC NULLS LAST, " if strategy.timestamp else ""
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE sl_incoming AS SELECT {listed} FROM {source} "
            f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {newest}{latest}) = 1"
        )
        source = "temp.main.sl_incoming"
        same = " AND ".join(f"t.{identifier(name)} IS NOT DISTINCT FROM i.{identifier(name)}" for name in strategy.key)
        if strategy.timestamp:
            column = identifier(strategy.timestamp)
            connection.execute(
                f"DELETE FROM {source} AS i USING {place} AS t WHERE {same} AND "
                f"(t.{column} > i.{column} OR (t.{column} IS NOT NULL AND i.{column} IS NULL))"
            )
        connection.execute(f"DELETE FROM {place} AS t USING {source} AS i WHERE {same}")
    elif strategy.type == "OVERWRITE":
        connection.execute(f"DELETE FROM {place}")
    ordered = "" if strategy.type in _KEYED else " ORDER BY " + ", ".join(identifier(name) for name in order)
    connection.execute(f"INSERT INTO {place} ({listed}) SELECT {listed} FROM {source}{ordered}")
