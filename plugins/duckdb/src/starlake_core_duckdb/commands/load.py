"""``load``: the staged files of tables become rows, in one transaction."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import duckdb
from starlake_core_project import Domain, Table

from ..batch import BATCH, ORDER, Counts, read_batch
from ..casting import Column, columns_of
from ..context import Context, refuse_options
from ..database import Work, connect, database_path, transaction
from ..errors import EngineError, unsupported
from ..ingesting import Claimed, archive, claim, give_back, leftovers, loaded_paths, sweep_unresolved
from ..locks import locked
from ..statements import run_statements
from ..strategies import Strategy, checked_strategy, ensure_table, write

__all__ = ["run"]

_FORMATS = ("DSV", "JSON", "JSON_FLAT")


@dataclass(frozen=True)
class _Plan:
    """A table with everything about it that can be wrong already checked."""

    table: Table
    columns: tuple[Column, ...]
    strategy: Strategy
    database: Path


def _plan(context: Context, table: Table) -> _Plan:
    what = f"{table.domain}.{table.name}"
    kind = table.metadata.format.format or "DSV"
    if kind not in _FORMATS:
        raise unsupported(f"the format {kind} of {what}")
    application = context.project.application
    connection = table.metadata.connection_ref or application.load_connection_ref or application.connection_ref
    columns = columns_of(table, context.project.types)
    renamed = {column.attribute.name: column.name for column in columns}
    key = context.values.get("primaryKey") or table.primary_key
    strategy = checked_strategy(table.metadata.write_strategy, "APPEND", key, renamed, what)
    return _Plan(table, columns, strategy, database_path(context, connection, what))


def _load_table(
    connection: duckdb.DuckDBPyConnection, context: Context, plan: _Plan, claimed: Sequence[Claimed], work: Work
) -> Counts:
    table = plan.table
    run_statements(connection, table.presql, table.path)
    counts = read_batch(connection, table, plan.columns, [(item.path, item.name) for item in claimed], work)
    if counts.rejected and context.reject_all_on_error:
        raise EngineError(_rejected_all(connection, table, counts))
    target = (table.final_domain, table.final_name)
    ensure_table(connection, *target, [(column.name, column.ddl) for column in plan.columns])
    write(connection, plan.strategy, target, BATCH, [column.name for column in plan.columns], ORDER)
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
        f"{table.domain}.{table.name}: {counts.rejected} row(s) rejected and SL_REJECT_ALL_ON_ERROR is set, "
        f"so nothing was loaded; correct the files or unset it{shown}"
    )


def _load_all(
    connection: duckdb.DuckDBPyConnection,
    context: Context,
    plans: Sequence[_Plan],
    claimed: Sequence[Claimed],
    work: Work,
) -> list[dict[str, object]]:
    result: list[dict[str, object]] = []
    for plan in plans:
        own = [
            item for item in claimed if item.table.name == plan.table.name and item.table.domain == plan.table.domain
        ]
        if own:
            counts = _load_table(connection, context, plan, own, work)
            result.append(
                {
                    "domain": plan.table.domain,
                    "table": plan.table.name,
                    "files": [item.name for item in own],
                    "accepted": counts.accepted,
                    "rejected": counts.rejected,
                }
            )
    work.record(connection, result)
    return result


def _forget_archived(connection: duckdb.DuckDBPyConnection, plans: Sequence[_Plan]) -> None:
    """Names of files that have left the ingesting directory are never asked for again."""
    for plan in plans:
        gone = [path for path in loaded_paths(connection, plan.table) if not Path(path).exists()]
        connection.execute("DELETE FROM audit.loaded_files WHERE list_contains($paths, path)", {"paths": gone})


def _work_on(
    context: Context,
    connection: duckdb.DuckDBPyConnection,
    selection: Sequence[tuple[Domain, Sequence[_Plan]]],
    work: Work,
) -> tuple[list[dict[str, object]], bool]:
    """Load what there is to load. Returns the result, and whether it is an earlier call's."""
    plans = [plan for _, chosen in selection for plan in chosen]
    known = {path for plan in plans for path in loaded_paths(connection, plan.table)}
    left = [item for plan in plans for item in leftovers(context, plan.table)]
    archive(context, [item for item in left if str(item.path) in known])
    first = work.first_result(connection)
    if first is not None:
        return first, True
    claimed = [item for item in left if str(item.path) not in known]
    try:
        for domain, chosen in selection:
            claimed += claim(context, domain, [plan.table for plan in chosen])
        claimed.sort(key=lambda item: (item.name, item.path))
        with transaction(connection):
            _forget_archived(connection, plans)
            result = _load_all(connection, context, plans, claimed, work)
    except (duckdb.Error, EngineError, OSError) as error:
        # A commit that raised may have happened all the same; then the files must not be loaded again.
        committed = {path for plan in plans for path in loaded_paths(connection, plan.table)}
        lost = [item for item in claimed if str(item.path) not in committed]
        give_back(context, lost)
        if not lost and claimed:
            archive(context, claimed)
        targets = sorted({(item.table.domain, item.table.name) for item in claimed})
        work.log_failure(connection, targets, str(error))
        raise
    archive(context, claimed)
    return result, False


def _report(context: Context, result: Sequence[dict[str, object]], repeated: bool) -> None:
    if repeated:
        sys.stdout.write("already done under this run key\n")
    if not result:
        sys.stdout.write("no files to load\n")
    for entry in result:
        files = entry["files"]
        count = len(files) if isinstance(files, list) else 0
        sys.stdout.write(
            f"loaded {entry['domain']}.{entry['table']}: {entry['accepted']} row(s) from {count} file(s), "
            f"{entry['rejected']} rejected\n"
        )
        if context.print_counters:
            accepted, rejected = entry["accepted"], entry["rejected"]
            counters = {
                "inputCount": int(str(accepted)) + int(str(rejected)),
                "acceptedCount": accepted,
                "rejectedCount": rejected,
                "paths": files,
                "jobid": context.run_key or "",
            }
            sys.stdout.write(f"IngestionCounters:{json.dumps(counters)}\n")


def run(context: Context) -> int:
    """Carry out the command.

    Raises:
        EngineError: a table cannot be loaded; then no table of this call is.
        ProjectError: a file of the project is broken.
    """
    refuse_options("load", context.values, ("test", "files", "inPlace"))
    selection: list[tuple[Domain, list[_Plan]]] = []
    for domain in context.selected_domains(context.values.get("domains")):
        tables = context.project.tables(domain, context.values.get("tables"))
        if tables:
            selection.append((domain, [_plan(context, table) for table in tables]))
    plans = [plan for _, chosen in selection for plan in chosen]
    databases = sorted({plan.database for plan in plans})
    if len(databases) > 1:
        raise EngineError(
            f"these tables live in {len(databases)} databases, and one load is one transaction: "
            "load them one by one with --tables"
        )
    if not plans:
        _report(context, [], False)
        return 0
    work = Work.of(context)
    with ExitStack() as held:
        for plan in sorted(plans, key=lambda plan: (plan.table.domain, plan.table.name)):
            held.enter_context(locked(context.table_lock(plan.table)))
        with connect(context, databases[0]) as connection:
            try:
                result, repeated = _work_on(context, connection, selection, work)
            except duckdb.Error as error:
                raise EngineError(f"load failed: {error}") from error
    for domain, _ in selection:
        sweep_unresolved(context, domain)
    _report(context, result, repeated)
    return 0
