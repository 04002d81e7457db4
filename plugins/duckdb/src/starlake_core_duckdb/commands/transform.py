"""``transform``: a query becomes the rows of a table, in one transaction."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
from starlake_core_project import Query, Task, WriteStrategy

from ..context import Context, refuse_options
from ..database import connect, database_path, transaction
from ..errors import EngineError, ProjectFault, unsupported
from ..refusals import refuse_task
from ..sql import identifier, qualified
from ..statements import query_parts, run_statements
from ..strategies import Strategy, checked_strategy, ensure_table, write
from ..work import Work

__all__ = ["run"]

_REFUSED = (
    "dry-run",
    "format",
    "interactive",
    "pageNumber",
    "pageSize",
    "query",
    "recursive",
    "sync-apply",
    "sync-preview",
    "test",
)
_RESULT = "temp.main.sl_result"
_ORDER = "rowid"


def _find(context: Context) -> Task:
    name = context.values["name"]
    if "tags" in context.values:
        raise ProjectFault("transform: --name and --tags cannot be given together; drop --tags")
    if context.values.get("action", "run") != "run":
        raise unsupported(f"transform --action {context.values['action']}")
    refuse_options("transform", context.values, _REFUSED)
    task = context.project.task(name)
    if task is None:
        known = ", ".join(sorted(found.full_name for found in context.project.silently().tasks())) or "none"
        raise ProjectFault(f"transform {name!r} does not exist; a name is domain.task (known: {known})")
    if task.python_path is not None and task.sql_path is None:
        raise unsupported(f"the Python transform {name}")
    return task


def _write_result(
    connection: duckdb.DuckDBPyConnection, task: Task, strategy: Strategy, query: str, truncate: bool
) -> int:
    # On lines of its own, because a query may begin or end with a comment.
    connection.execute(f"CREATE OR REPLACE TEMP TABLE sl_result AS\n{query}")
    columns = [(row[0], row[1]) for row in connection.execute(f"DESCRIBE {_RESULT}").fetchall()]
    names = [name for name, _ in columns]
    place = qualified(task.domain, task.table)
    if strategy.type == "OVERWRITE":
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(task.domain)}")
        listed = ", ".join(identifier(name) for name in names)
        connection.execute(
            f"CREATE OR REPLACE TABLE {place} AS SELECT {listed} FROM {_RESULT} ORDER BY {identifier(_ORDER)}"
        )
    else:
        ensure_table(connection, task.domain, task.table, columns)
        if truncate:
            connection.execute(f"DELETE FROM {place}")
        write(connection, strategy, (task.domain, task.table), _RESULT, names, (_ORDER,))
    found = connection.execute(f"SELECT count(*) FROM {_RESULT}").fetchone()
    return int(found[0]) if found else 0


def _run_query(
    context: Context, connection: duckdb.DuckDBPyConnection, task: Task, strategy: Strategy, query: Query
) -> int | None:
    """The rows of the query; None for statements that are run as they are."""
    if task.parse_sql is False:
        run_statements(connection, [query.sql], query.path)
        return None
    before, sql = query_parts(connection, query.sql, query.path)
    run_statements(connection, before, query.path)
    try:
        return _write_result(connection, task, strategy, sql, bool(context.values.get("truncate")))
    except duckdb.Error as error:
        raise EngineError(f"{query.path}: the query fails: {error}") from error


def _transform(
    context: Context, connection: duckdb.DuckDBPyConnection, task: Task, strategy: Strategy, query: Query, work: Work
) -> int | None:
    target = (task.domain, task.table)
    try:
        with transaction(connection):
            # The order is Starlake's: the statements of the query's file enclose those of the YAML file.
            run_statements(connection, query.presql, query.path)
            run_statements(connection, task.presql, task.path)
            rows = _run_query(context, connection, task, strategy, query)
            run_statements(connection, task.postsql, task.path)
            run_statements(connection, query.postsql, query.path)
            work.log(connection, target, accepted=rows, rejected=0)
            work.record(connection, {"rows": rows})
    except (duckdb.Error, EngineError) as error:
        work.log_failure(connection, [target], str(error))
        raise
    return rows


def run(context: Context) -> int:
    """Carry out the command.

    Raises:
        EngineError: the transform does not exist, fails, or needs something that this engine does not support.
        ProjectError: a file of the project is broken, or a variable of the query is missing.
    """
    task = _find(context)
    context.project.use_statements(task.path)
    query = context.project.query(task)
    if context.values.get("compile"):
        sys.stdout.write(f"{query.sql.rstrip()}\n")
        return 0
    refuse_task(context, task)
    # Statements that are run as they are decide themselves what they write, whatever the strategy.
    wanted = WriteStrategy() if task.parse_sql is False else task.write_strategy
    strategy = checked_strategy(wanted, "APPEND", task.primary_key, {}, task.full_name)
    application = context.project.application
    connection_ref = (
        task.sink_connection_ref
        or task.connection_ref
        or application.transform_connection_ref
        or application.connection_ref
    )
    path: Path = database_path(context, connection_ref, task.full_name)
    work = Work.of(context)
    with connect(context, path) as connection:
        try:
            first = work.first_result(connection)
            rows = first["rows"] if first is not None else _transform(context, connection, task, strategy, query, work)
        except duckdb.Error as error:
            raise EngineError(f"transform {task.full_name} failed: {error}") from error
    if first is not None:
        sys.stdout.write("already done under this run key\n")
    done = "statements run as they are" if rows is None else f"{rows} row(s) into {task.domain}.{task.table}"
    sys.stdout.write(f"transformed {task.full_name}: {done}\n")
    return 0
