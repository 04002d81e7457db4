"""Tells who started a command what it wrote to a table, in a line of output that only a runner reads."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import replace

from starlake_core.model.details import Column
from starlake_core.model.written import CheckResult, Written

from .context import Context
from .driver import duckdb
from .expectations import Checks, ExpectationError
from .sql import qualified

__all__ = ["tell", "tell_failure"]

_SHOWN = 500
"""How many characters of what a check found are reported."""
_LONGEST = 60_000
"""What a runner takes as one line."""


def tell(
    context: Context,
    connection: duckdb.DuckDBPyConnection,
    target: tuple[str, str],
    checks: Checks,
    *,
    table: str,
    accepted: int | None = None,
    rejected: int | None = None,
    kind: str | None = None,
    rows: int | None = None,
) -> None:
    """Tell what a command wrote, if a runner started it. What was checked is looked up, because an earlier call may have done it.

    Args:
        target: schema and table.
        checks: the checks of the table.
        table: its name in the project.
        accepted, rejected: rows.
        kind: TABLE or VIEW, what the target is; None if that is not known.
        rows: how many rows the table has; None to count them.
    """
    if context.run_key is None:
        return
    columns: tuple[Column, ...] = ()
    results: tuple[CheckResult, ...] = ()
    # What is not known is not told; the work is done.
    with suppress(duckdb.Error):
        rows, columns = _described(connection, target, kind, rows)
    if checks.before or checks.after:
        with suppress(duckdb.Error):
            results = _checked(connection, context.run_key, target)
    _write(Written(table, ".".join(target), accepted, rejected, rows, columns, results))


def tell_failure(context: Context, error: Exception, table: str) -> None:
    """Tell what the checks of a table found if that is why a command fails.

    Args:
        error: why it fails.
        table: the name of the table in the project.
    """
    if context.run_key is not None and isinstance(error, ExpectationError):
        results = [
            CheckResult(
                report.check.text, report.success, report.check.fails, (report.message or report.shown)[:_SHOWN]
            )
            for report in error.reports
        ]
        _write(Written(table, checks=tuple(results)))


def _write(written: Written) -> None:
    line = written.to_line()
    if len(line) > _LONGEST:
        line = replace(written, columns=(), checks=()).to_line()
    sys.stdout.write(f"{line}\n")


def _described(
    connection: duckdb.DuckDBPyConnection, target: tuple[str, str], kind: str | None, rows: int | None
) -> tuple[int | None, tuple[Column, ...]]:
    """The number of rows of a table, which is not counted for a view, and its columns.

    Raises:
        duckdb.Error: there is none.
    """
    described = connection.execute(f"SELECT * FROM {qualified(*target)} LIMIT 0").description or ()
    columns = tuple(Column(str(column[0]), str(column[1])) for column in described)
    if (kind or _kind(connection, target)) == "VIEW":
        return None, columns
    if rows is not None:
        return rows, columns
    found = connection.execute(f"SELECT count(*) FROM {qualified(*target)}").fetchone()
    return (int(found[0]) if found else None), columns


def _kind(connection: duckdb.DuckDBPyConnection, target: tuple[str, str]) -> str:
    found = connection.execute(
        "SELECT 1 FROM duckdb_views() WHERE database_name = current_database() "
        "AND lower(schema_name) = lower($schema) AND lower(view_name) = lower($table)",
        {"schema": target[0], "table": target[1]},
    ).fetchone()
    return "TABLE" if found is None else "VIEW"


def _checked(connection: duckdb.DuckDBPyConnection, run_key: str, target: tuple[str, str]) -> tuple[CheckResult, ...]:
    """The last result of each check under a run key."""
    rows = connection.execute(
        "SELECT expectation, success, fails, coalesce(message, result, '') FROM starlake_core.expectations "
        'WHERE run_key = $key AND domain = $domain AND "table" = $table ORDER BY checked_at, rowid',
        {"key": run_key, "domain": target[0], "table": target[1]},
    ).fetchall()
    found = {
        text: CheckResult(text, bool(success), bool(fails), str(about)[:_SHOWN]) for text, success, fails, about in rows
    }
    return tuple(found.values())
