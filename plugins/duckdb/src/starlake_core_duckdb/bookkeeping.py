"""The engine's own tables in a database: run keys, loaded files, rejected rows, a log, results of expectations.

They have a schema of their own. Earlier versions kept them in the schema ``audit``, where Starlake has tables too; such a database is
changed when it is opened. The columns tell which tables are the engine's, because Starlake has an ``audit.rejected``, too.

Rejected rows are listed where Starlake lists them, too: if a database has no ``audit.rejected``, the engine makes one with Starlake's
columns, which Starlake can use later. One that Starlake made is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from .driver import duckdb
from .sql import identifier, qualified

__all__ = ["bookkeeping_changes", "last_rejected", "list_rejected"]

_SCHEMA = "starlake_core"
_FORMER = "audit"
_TABLES: Mapping[str, str] = {
    "run_keys": "run_key VARCHAR NOT NULL, command VARCHAR NOT NULL, arguments_hash VARCHAR NOT NULL, result VARCHAR NOT NULL, "
    "committed_at TIMESTAMP NOT NULL, instance VARCHAR, work VARCHAR",
    "loaded_files": 'path VARCHAR NOT NULL, domain VARCHAR NOT NULL, "table" VARCHAR NOT NULL',
    "rejected": 'run_key VARCHAR, domain VARCHAR NOT NULL, "table" VARCHAR NOT NULL, file VARCHAR NOT NULL, row_number BIGINT, '
    "record VARCHAR, errors VARCHAR NOT NULL, rejected_at TIMESTAMP NOT NULL",
    "log": 'run_key VARCHAR, command VARCHAR NOT NULL, domain VARCHAR NOT NULL, "table" VARCHAR NOT NULL, success BOOLEAN NOT NULL, '
    "accepted BIGINT, rejected BIGINT, message VARCHAR, started_at TIMESTAMP NOT NULL, ended_at TIMESTAMP NOT NULL",
}
_LISTED = "JOBID VARCHAR, TIMESTAMP TIMESTAMP, DOMAIN VARCHAR, SCHEMA VARCHAR, ERROR VARCHAR, PATH VARCHAR"
"""The columns of Starlake's ``audit.rejected``."""
_OURS = "made by starlake_core, with the columns of Starlake"
_OPTIONAL = {"instance", "work"}
"""Columns that an earlier version did not have."""
_ONCE = f"CREATE UNIQUE INDEX run_keys_once ON {qualified(_SCHEMA, 'run_keys')} (work)"
"""No work is remembered twice, even if two commands do it at once. What an earlier version has written has no ``work``."""


def _columns(definition: str) -> set[str]:
    return {column.split()[0].strip('"') for column in definition.split(", ")}


def _present(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], set[str]]:
    rows = connection.execute(
        "SELECT schema_name, table_name, column_name FROM duckdb_columns() "
        "WHERE database_name = current_database() AND lower(schema_name) IN ($own, $former)",
        {"own": _SCHEMA, "former": _FORMER},
    ).fetchall()
    found: dict[tuple[str, str], set[str]] = {}
    for schema, table, column in rows:
        found.setdefault((schema.lower(), table.lower()), set()).add(column)
    return found


def _is_former(columns: set[str] | None, definition: str) -> bool:
    return columns is not None and columns | _OPTIONAL == _columns(definition) | _OPTIONAL


def bookkeeping_changes(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The statements that make the tables that are missing and move those of an earlier version; none if all is well."""
    present = _present(connection)
    missing = [name for name in _TABLES if (_SCHEMA, name) not in present]
    former = [name for name, definition in _TABLES.items() if _is_former(present.get((_FORMER, name)), definition)]
    statements = [f"CREATE SCHEMA IF NOT EXISTS {identifier(_SCHEMA)}"] if missing else []
    statements += [f"CREATE TABLE {qualified(_SCHEMA, name)} ({_TABLES[name]})" for name in missing]
    if "run_keys" in missing:
        statements.append(_ONCE)
    elif "work" not in present[_SCHEMA, "run_keys"]:
        statements += [f"ALTER TABLE {qualified(_SCHEMA, 'run_keys')} ADD COLUMN work VARCHAR", _ONCE]
    for name in former:
        before = qualified(_FORMER, name)
        statements += [f"INSERT INTO {qualified(_SCHEMA, name)} BY NAME FROM {before}", f"DROP TABLE {before}"]
    if (_FORMER, "rejected") not in present or "rejected" in former:
        listed = qualified(_FORMER, "rejected")
        statements += [
            f"CREATE SCHEMA IF NOT EXISTS {identifier(_FORMER)}",
            f"CREATE TABLE {listed} ({_LISTED})",
            f"COMMENT ON TABLE {listed} IS '{_OURS}'",
        ]
    return statements


def last_rejected(connection: duckdb.DuckDBPyConnection) -> int:
    """The id of the row that was rejected last."""
    found = connection.execute(f"SELECT coalesce(max(rowid), -1) FROM {qualified(_SCHEMA, 'rejected')}").fetchone()
    return int(found[0]) if found else -1


def list_rejected(connection: duckdb.DuckDBPyConnection, after: int) -> None:
    """List rejected rows in ``audit.rejected`` too, unless Starlake made that table.

    Args:
        after: the id of the last row that is listed; see :func:`last_rejected`.
    """
    ours = connection.execute(
        "SELECT 1 FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = $schema "
        "AND table_name = 'rejected' AND comment = $ours",
        {"schema": _FORMER, "ours": _OURS},
    ).fetchone()
    if ours is not None:
        connection.execute(
            f'INSERT INTO {qualified(_FORMER, "rejected")} SELECT run_key, rejected_at, domain, "table", errors, file '
            f"FROM {qualified(_SCHEMA, 'rejected')} WHERE rowid > $after ORDER BY rowid",
            {"after": after},
        )
