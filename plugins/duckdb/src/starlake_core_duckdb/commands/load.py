"""``load``: the staged files of tables become rows, in one transaction."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack

import duckdb
from starlake_core_project import Domain

from ..context import Context, refuse_options
from ..database import connect
from ..errors import EngineError, ProjectFault
from ..ingesting import sweep_unresolved
from ..loading import Plan, TableResult, load_files, plan_table
from ..locks import locked
from ..selection import warn_of_unknown
from ..work import Work

__all__ = ["run"]


def _report(context: Context, result: Sequence[TableResult], repeated: bool) -> None:
    if repeated:
        sys.stdout.write("already done under this run key\n")
    if not result:
        sys.stdout.write("no files to load\n")
    for entry in result:
        sys.stdout.write(
            f"loaded {entry.domain}.{entry.table}: {entry.accepted} row(s) from {len(entry.files)} file(s), "
            f"{entry.rejected} rejected\n"
        )
        if context.print_counters:
            counters = {
                "inputCount": entry.accepted + entry.rejected,
                "acceptedCount": entry.accepted,
                "rejectedCount": entry.rejected,
                "paths": entry.files,
                "jobid": context.run_key or "",
            }
            sys.stdout.write(f"IngestionCounters:{json.dumps(counters)}\n")


def run(context: Context) -> int:
    """Carry out the command.

    Raises:
        EngineError: a table cannot be loaded; then no table of this call is.
        ProjectError: a file of the project is broken.
    """
    refuse_options("load", context.values, ("test", "inPlace"))
    warn_of_unknown(context, context.values.get("domains"), context.values.get("tables"))
    if context.selected_domains(context.values.get("domains")):
        refuse_options(
            "load", context.values, ("files",)
        )  # in an unknown domain there is nothing to load, as in Starlake
    selection: list[tuple[Domain, list[Plan]]] = []
    for domain in context.selected_domains(context.values.get("domains")):
        tables = context.project.tables(domain, context.values.get("tables"))
        if tables:
            selection.append((domain, [plan_table(context, table) for table in tables]))
    plans = [plan for _, chosen in selection for plan in chosen]
    databases = sorted({plan.database for plan in plans})
    if len(databases) > 1:
        raise ProjectFault(
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
                result, repeated = load_files(context, connection, selection, work)
            except duckdb.Error as error:
                raise EngineError(f"load failed: {error}") from error
    for domain, _ in selection:
        sweep_unresolved(context, domain)
    _report(context, result, repeated)
    return 0
