"""One load: plans, one transaction, and the files before and after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb
from starlake_core_project import Domain, Table
from starlake_core_project.keys import texts

from .batch import BATCH, ORDER, Counts, read_batch
from .casting import Column, columns_of
from .context import Context
from .database import database_path, transaction
from .errors import EngineError
from .formats import reader_of
from .ingesting import Claimed, archive, claim, clear_work, give_back, leftovers, loaded_paths, work_directory
from .reading import ReadingRules
from .refusals import refuse_table
from .statements import run_statements
from .strategies import Strategy, checked_strategy, ensure_table, period_of, write
from .work import Work

__all__ = ["Plan", "TableResult", "load_files", "plan_table"]


@dataclass(frozen=True)
class Plan:
    """A table with everything about it that can be wrong already checked."""

    table: Table
    columns: tuple[Column, ...]
    strategy: Strategy
    database: Path


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
    context.project.use_statements(table.path)
    application = context.project.application
    connection = table.metadata.connection_ref or application.load_connection_ref or application.connection_ref
    columns = columns_of(table, context.project.types)
    renamed = {column.attribute.name: column.name for column in columns}
    key = context.values.get("primaryKey") or table.primary_key
    strategy = checked_strategy(
        table.metadata.write_strategy,
        "APPEND",
        key,
        renamed,
        what,
        partition=texts(table.metadata.sink.partition),
        period=period_of(application),
        compat=context.compat,
    )
    return Plan(table, columns, strategy, database_path(context, connection, what))


def _load_table(
    connection: duckdb.DuckDBPyConnection, context: Context, plan: Plan, claimed: Sequence[Claimed], work: Work
) -> Counts:
    table = plan.table
    run_statements(connection, table.presql, table.path)
    counts = read_batch(
        connection,
        table,
        plan.columns,
        [(item.path, item.name) for item in claimed],
        work,
        ReadingRules(context.max_decompressed, context.compat, work_directory(context, table)),
    )
    if counts.rejected and context.reject_all_on_error:
        raise EngineError(_rejected_all(connection, table, counts))
    target = (table.final_domain, table.final_name)
    columns = [(column.name, column.ddl) for column in plan.columns]
    created = ensure_table(connection, *target, plan.strategy.columns_of_table(columns))
    write(connection, plan.strategy, target, BATCH, [name for name, _ in columns], ORDER, created=created)
    run_statements(connection, table.postsql, table.path)
    for item in claimed:
        connection.execute(
            "INSERT INTO audit.loaded_files VALUES ($path, $domain, $table)",
            {"path": str(item.path), "domain": table.domain, "table": table.name},
        )
    work.log(connection, (table.domain, table.name), accepted=counts.accepted, rejected=counts.rejected)
    return counts


def _rejected_all(connection: duckdb.DuckDBPyConnection, table: Table, counts: Counts) -> str:
    rows = connection.execute(
        'SELECT file, row_number, errors FROM audit.rejected WHERE domain = $domain AND "table" = $table '
        "ORDER BY rejected_at DESC, file, row_number LIMIT 5",
        {"domain": table.domain, "table": table.name},
    ).fetchall()
    shown = "".join(f"\n  {file} row {number}: {errors}" for file, number, errors in rows)
    return (
        f"{table.domain}.{table.name}: {counts.rejected} row(s) rejected and rejectAllOnError or SL_REJECT_ALL_ON_ERROR is set, "
        f"so nothing was loaded; correct the files or unset it{shown}"
    )


def _load_all(
    connection: duckdb.DuckDBPyConnection,
    context: Context,
    plans: Sequence[Plan],
    claimed: Sequence[Claimed],
    work: Work,
) -> list[TableResult]:
    result: list[TableResult] = []
    for plan in plans:
        own = [
            item for item in claimed if item.table.name == plan.table.name and item.table.domain == plan.table.domain
        ]
        if own:
            counts = _load_table(connection, context, plan, own, work)
            names = [item.name for item in own]
            result.append(TableResult(plan.table.domain, plan.table.name, names, counts.accepted, counts.rejected))
    work.record(connection, [asdict(entry) for entry in result])
    return result


def _forget_archived(connection: duckdb.DuckDBPyConnection, plans: Sequence[Plan]) -> None:
    """Names of files that have left the ingesting folder are never asked for again."""
    for plan in plans:
        gone = [path for path in loaded_paths(connection, plan.table) if not Path(path).exists()]
        connection.execute("DELETE FROM audit.loaded_files WHERE list_contains($paths, path)", {"paths": gone})


def load_files(
    context: Context,
    connection: duckdb.DuckDBPyConnection,
    selection: Sequence[tuple[Domain, Sequence[Plan]]],
    work: Work,
) -> tuple[list[TableResult], bool]:
    """Load what there is to load. The caller holds the locks of the tables and the connection.

    Args:
        selection: the domains, each with the tables that are wanted.

    Returns:
        The result, and whether it is an earlier call's.

    Raises:
        EngineError, duckdb.Error, OSError: nothing was loaded; the files are back in stage.
    """
    plans = [plan for _, chosen in selection for plan in chosen]
    clear_work(context, [plan.table for plan in plans])
    known = {path for plan in plans for path in loaded_paths(connection, plan.table)}
    left = [item for plan in plans for item in leftovers(context, plan.table)]
    archive(context, [item for item in left if str(item.path) in known])
    first = work.first_result(connection)
    if first is not None:
        return [TableResult(**entry) for entry in first], True
    claimed = [item for item in left if str(item.path) not in known]
    try:
        for domain, chosen in selection:
            claimed += claim(context, domain, [plan.table for plan in chosen])
        claimed.sort(key=lambda item: (item.name, item.path))
        with transaction(connection):
            _forget_archived(connection, plans)
            result = _load_all(connection, context, plans, claimed, work)
            clear_work(context, [plan.table for plan in plans])
    except (duckdb.Error, EngineError, OSError) as error:
        # A commit that raised may have happened all the same; then the files must not be loaded again.
        committed = {path for plan in plans for path in loaded_paths(connection, plan.table)}
        lost = [item for item in claimed if str(item.path) not in committed]
        give_back(context, lost)
        if not lost and claimed:
            archive(context, claimed)
        targets = sorted({(item.table.domain, item.table.name) for item in claimed})
        clear_work(context, [plan.table for plan in plans])
        work.log_failure(connection, targets, str(error))
        raise
    archive(context, claimed)
    return result, False
