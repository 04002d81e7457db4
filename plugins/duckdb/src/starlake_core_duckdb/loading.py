"""The load of one table: what is checked first, and how a batch of files becomes rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from starlake_core_project import Table
from starlake_core_project.keys import texts

from .adaptive import Adaptive, checked_load_strategy, strategies_of
from .batch import BATCH, ORDER, Counts, drop_batch, read_batch
from .casting import Column, columns_of
from .context import Context
from .database import database_path
from .dialect import dialect_of
from .direct import load_directly
from .driver import duckdb
from .errors import EngineError
from .expectations import Checks, planned_checks
from .formats import format_of, reader_of
from .ingesting import Claimed, work_directory
from .plain_names import refuse_unquoted_names
from .reading import ReadingRules
from .refusals import refuse_table
from .sql import identifier
from .statements import run_statements
from .strategies import Strategy, ensure_table, period_of, write
from .work import Work

__all__ = ["Plan", "TableResult", "load_batch", "plan_table"]


@dataclass(frozen=True)
class Plan:
    """A table with everything about it that can be wrong already checked."""

    table: Table
    columns: tuple[Column, ...]
    strategy: Strategy | Adaptive
    database: Path
    checks: Checks


@dataclass(frozen=True)
class TableResult:
    """What a load did to a table; stored as JSON under the run key."""

    domain: str
    table: str
    files: list[str]
    accepted: int
    rejected: int


def plan_table(context: Context, table: Table) -> Plan:
    """Check everything that a table declares.

    Raises:
        EngineError: this engine does not support it, or the project contradicts itself.
    """
    what = f"{table.domain}.{table.name}"
    refuse_table(context, table)
    reader_of(table)
    if format_of(table) == "DSV":
        dialect_of(table, context.project.application.dsv_options)
    context.project.use_statements(table.path)
    application = context.project.application
    connection = table.metadata.connection_ref or application.load_connection_ref or application.connection_ref
    columns = columns_of(table, context.project.types, context.compat)
    renamed = {column.attribute.name: column.name for column in columns}
    key = context.values.get("primaryKey") or table.primary_key
    strategy = checked_load_strategy(
        table.metadata.write_strategy,
        key,
        renamed,
        what,
        pattern=table.pattern,
        partition=texts(table.metadata.sink.partition),
        period=period_of(application),
        compat=context.compat,
    )
    checks = planned_checks(context, table.expectations, (table.final_domain, table.final_name), table.path)
    return Plan(table, columns, strategy, database_path(context, connection, what), checks)


def load_batch(
    connection: duckdb.DuckDBPyConnection, context: Context, plan: Plan, claimed: Sequence[Claimed], work: Work
) -> Counts:
    """Load some files of a table, inside the current transaction.

    Raises:
        EngineError, duckdb.Error: the transaction must not be committed.
    """
    counts = [
        _load_files(connection, context, plan, strategy, files, work)
        for strategy, files in strategies_of(plan.strategy, claimed, context.timezone)
    ]
    return Counts(sum(found.accepted for found in counts), sum(found.rejected for found in counts))


def _load_files(
    connection: duckdb.DuckDBPyConnection,
    context: Context,
    plan: Plan,
    strategy: Strategy,
    claimed: Sequence[Claimed],
    work: Work,
) -> Counts:
    """Load some files of a table with one strategy."""
    table = plan.table
    if context.compat:
        refuse_unquoted_names(connection, f"{table.domain}.{table.name}", plan.columns)
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(table.final_domain)}")
    run_statements(connection, table.presql, table.path)
    rules = ReadingRules(
        context.max_decompressed,
        context.compat,
        work_directory(context, table),
        context.project.application.dsv_options,
    )
    files = [(item.path, item.name) for item in claimed]
    direct = load_directly(connection, table, plan.columns, strategy, files, work, rules)
    counts = direct.counts or read_batch(connection, table, plan.columns, files, work, rules, direct.irregular)
    if counts.rejected and context.reject_all_on_error:
        raise EngineError(_rejected_all(connection, table, counts))
    if direct.counts is None:
        _write_batch(connection, context, plan, strategy)
    if not context.compat:
        run_statements(connection, table.postsql, table.path)
    for item in claimed:
        connection.execute(
            "INSERT INTO starlake_core.loaded_files VALUES ($path, $domain, $table)",
            {"path": str(item.path), "domain": table.domain, "table": table.name},
        )
    work.log(connection, (table.domain, table.name), accepted=counts.accepted, rejected=counts.rejected)
    return counts


def _write_batch(connection: duckdb.DuckDBPyConnection, context: Context, plan: Plan, strategy: Strategy) -> None:
    table = plan.table
    target = (table.final_domain, table.final_name)
    columns = [(column.name, column.ddl) for column in plan.columns]
    created = ensure_table(connection, *target, strategy.columns_of_table(columns))
    if context.compat:
        run_statements(connection, table.postsql, table.path)
    write(connection, strategy, target, BATCH, [name for name, _ in columns], ORDER, created=created)
    drop_batch(connection)


def _rejected_all(connection: duckdb.DuckDBPyConnection, table: Table, counts: Counts) -> str:
    rows = connection.execute(
        'SELECT file, row_number, errors FROM starlake_core.rejected WHERE domain = $domain AND "table" = $table '
        "ORDER BY rejected_at DESC, file, row_number LIMIT 5",
        {"domain": table.domain, "table": table.name},
    ).fetchall()
    shown = "".join(f"\n  {file} row {number}: {errors}" for file, number, errors in rows)
    return (
        f"{table.domain}.{table.name}: {counts.rejected} row(s) rejected and rejectAllOnError or SL_REJECT_ALL_ON_ERROR is set, "
        f"so nothing was loaded; correct the files or unset it{shown}"
    )
