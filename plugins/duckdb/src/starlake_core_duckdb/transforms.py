"""One transform: what it needs, and one transaction that writes its rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace
from starlake_core_project import Query, Task, WriteStrategy
from starlake_core_project.keys import texts

from .columns import in_the_way
from .context import Context
from .database import connect, database_path, ensure_schema, make_schema, transaction
from .driver import duckdb
from .errors import EngineError, ProjectFault, unsupported
from .expectations import Checks, ExpectationError, planned_checks, record_failure
from .refusals import refuse_task
from .sql import qualified
from .statements import look_over, query_parts, run_statements
from .strategies import Strategy, checked_strategy, ensure_table, period_of, write
from .surroundings import retried, writing
from .telling import tell, tell_failure
from .work import Work

__all__ = ["Transform", "database_of", "plan_transform", "query_of", "run_transform"]

_RESULT = "temp.main.sl_result"
_ORDER = "rowid"
_KINDS = ("TABLE", "VIEW")


@dataclass(frozen=True)
class Transform:
    """A transform with everything about it that can be wrong already checked.

    Attributes:
        kind: TABLE or VIEW.
        checks: its expectations.
        truncate: empty the table first.
    """

    task: Task
    query: Query
    strategy: Strategy
    database: Path
    kind: str
    checks: Checks
    truncate: bool = False

    @property
    def target(self) -> tuple[str, str]:
        """The schema and the name of its table or view."""
        return self.task.domain, self.task.table

    @property
    def fills(self) -> bool:
        """Whether the table has the rows of the query and no others, because nothing else of the transform writes after the query."""
        after = [*self.task.postsql, *self.query.postsql]
        return self.kind == "TABLE" and self.strategy.type == "OVERWRITE" and not after


def query_of(context: Context, task: Task, sql: str | None = None) -> Query:
    """The query of a transform with its variables filled in.

    Args:
        sql: a query to use instead of the one in its file.

    Raises:
        ProjectError: there is no query, or it cannot be rendered.
        ProjectFault: the transform is a Python program.
    """
    if sql is None and task.python_path is not None and task.sql_path is None:
        raise unsupported(f"the Python transform {task.full_name}")
    if sql is not None:
        task = _with_sql(context, task, sql)
    context.project.use_statements(task.path)
    return context.project.query(task)


def database_of(context: Context, task: Task) -> Path:
    """The database that a transform reads and writes.

    Raises:
        EngineError: its connection does not exist, or is not DuckDB.
    """
    application = context.project.application
    connection_ref = (
        task.sink_connection_ref
        or task.connection_ref
        or application.transform_connection_ref
        or application.connection_ref
    )
    return database_path(context, connection_ref, task.full_name)


def plan_transform(context: Context, task: Task, sql: str | None = None, truncate: bool = False) -> Transform:
    """Check everything that a transform declares.

    Args:
        sql: a query to run instead of the one in its file.
        truncate: empty the table first.

    Raises:
        EngineError: this engine does not support it, or the project contradicts itself.
        ProjectError: its query cannot be rendered.
    """
    query = query_of(context, task, sql)
    refuse_task(context, task)
    # Statements that are run as they are decide themselves what they write, whatever the strategy.
    wanted = WriteStrategy() if task.parse_sql is False else task.write_strategy
    strategy = checked_strategy(
        wanted,
        "APPEND",
        task.primary_key,
        {},
        task.full_name,
        partition=texts(task.sink.partition) or task.partition,
        period=period_of(context.project.application),
        compat=context.compat,
    )
    kind = (task.sink.materialized_view or "TABLE").upper()
    if kind not in _KINDS:
        raise unsupported(f"sink.materializedView: {kind} of {task.full_name} (use VIEW or TABLE)")
    if kind == "VIEW" and task.parse_sql is False:
        raise ProjectFault(
            f"{task.path}: the statements of a transform with parseSQL: false are run as they are, so it cannot be a view; "
            "drop sink.materializedView or parseSQL"
        )
    checks = planned_checks(context, task.expectations, (task.domain, task.table), task.path)
    return Transform(task, query, strategy, database_of(context, task), kind, checks, truncate)


def run_transform(context: Context, plan: Transform, work: Work) -> tuple[int | None, bool]:
    """Run a transform as the only writer of its database.

    Returns:
        How many rows were written, or None if that is not known, as for a view; and whether an earlier call did the work.

    Raises:
        EngineError: it fails; nothing is written.
    """
    with connect(context, plan.database) as connection:
        try:
            first = work.first_result(connection)
            if first is not None:
                _tell(context, connection, plan, first["rows"])
                return first["rows"], True
            task, query = plan.task, plan.query
            look_over(connection, [*query.presql, *task.presql, query.sql, *task.postsql, *query.postsql])
            with writing(plan.database, [plan.target]):
                rows = _transform(context, connection, plan, work)
                _tell(context, connection, plan, rows, rows if plan.fills else None)
                return rows, False
        except duckdb.Error as error:
            raise EngineError(f"transform {plan.task.full_name} failed: {error}") from error


def _tell(
    context: Context,
    connection: duckdb.DuckDBPyConnection,
    plan: Transform,
    accepted: int | None,
    rows: int | None = None,
) -> None:
    kind = None if plan.task.parse_sql is False else plan.kind
    name = plan.task.full_name
    tell(context, connection, plan.target, plan.checks, table=name, accepted=accepted, kind=kind, rows=rows)


def _with_sql(context: Context, task: Task, sql: str) -> Task:
    return replace(task, sql_path=None, inline_sql=context.project.render(sql, task.path))


def _transform(context: Context, connection: duckdb.DuckDBPyConnection, plan: Transform, work: Work) -> int | None:
    late = plan.checks.may_fail_late
    try:
        ensure_schema(connection, plan.database, plan.target[0])
        rows = retried(
            lambda: _once(context, connection, plan, work),
            lambda: not late and work.first_result(connection) is not None,
        )
    except (duckdb.Error, EngineError) as error:
        explained = _explained(connection, plan, error)
        work.log_failure(connection, [plan.target], str(explained))
        record_failure(connection, work, explained)
        tell_failure(context, explained, plan.task.full_name)
        if explained is error:
            raise
        raise explained from error
    try:
        plan.checks.outside(connection, work)
    except ExpectationError as error:
        tell_failure(context, error, plan.task.full_name)
        raise
    if late:
        with transaction(connection):
            work.record(connection, {"rows": rows})
    return rows


def _once(context: Context, connection: duckdb.DuckDBPyConnection, plan: Transform, work: Work) -> int | None:
    """Write the rows, in one transaction."""
    task, query = plan.task, plan.query
    with transaction(connection):
        make_schema(connection, plan.target[0])
        # The order is Starlake's: the statements of the query's file enclose those of the YAML file.
        run_statements(connection, query.presql, query.path)
        run_statements(connection, task.presql, task.path)
        rows = _run_query(context, connection, plan)
        run_statements(connection, task.postsql, task.path)
        run_statements(connection, query.postsql, query.path)
        plan.checks.inside(connection, work)
        work.log(connection, plan.target, accepted=rows, rejected=0)
        if not plan.checks.may_fail_late:
            work.record(connection, {"rows": rows})
    return rows


def _run_query(context: Context, connection: duckdb.DuckDBPyConnection, plan: Transform) -> int | None:
    query = plan.query
    if plan.task.parse_sql is False:
        run_statements(connection, [query.sql], query.path)
        return None
    before, sql = query_parts(connection, query.sql, query.path)
    if before and context.compat:
        raise ProjectFault(
            f"{query.path}: there are {len(before)} statements before the query, which are a syntax error in Starlake; "
            "put them below a line -- SL_PRESQL, or unset SL_DUCKDB_COMPAT"
        )
    run_statements(connection, before, query.path)
    try:
        if plan.kind == "VIEW":
            connection.execute(f"CREATE OR REPLACE VIEW {qualified(*plan.target)} AS\n{sql}")
            return None
        return _write_result(connection, plan, sql)
    except duckdb.Error as error:
        raise EngineError(f"{query.path}: the query fails: {error}") from error


def _explained(connection: duckdb.DuckDBPyConnection, plan: Transform, error: Exception) -> Exception:
    """The error to report when a transform fails: it never replaces a table by a view, or a view by a table; the user decides what
    happens to the rows."""
    kind = "VIEW" if plan.kind == "TABLE" else "TABLE"
    if plan.task.parse_sql is False or not in_the_way(connection, plan.target, kind, error):
        return error
    name = ".".join(plan.target)
    return EngineError(
        f"{plan.task.path}: {name} is a {kind.lower()} in the database, and the transform wants a {plan.kind.lower()}; "
        f"remove it first (DROP {kind} {name}), or change sink.materializedView"
    )


def _write_result(connection: duckdb.DuckDBPyConnection, plan: Transform, query: str) -> int:
    place = qualified(*plan.target)
    # On lines of its own, because a query may begin or end with a comment.
    if plan.strategy.type == "OVERWRITE":
        return _count(connection.execute(f"CREATE OR REPLACE TABLE {place} AS\n{query}").fetchone())
    rows = _count(connection.execute(f"CREATE OR REPLACE TEMP TABLE sl_result AS\n{query}").fetchone())
    columns = [(row[0], row[1]) for row in connection.execute(f"DESCRIBE {_RESULT}").fetchall()]
    created = ensure_table(connection, *plan.target, plan.strategy.columns_of_table(columns))
    if plan.truncate:
        connection.execute(f"DELETE FROM {place}")
    write(connection, plan.strategy, plan.target, _RESULT, [name for name, _ in columns], (_ORDER,), created=created)
    return rows


def _count(row: tuple[int] | None) -> int:
    return int(row[0]) if row else 0
