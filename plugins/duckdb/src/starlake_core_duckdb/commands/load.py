"""``load``: the staged files of tables become rows, each table in a transaction of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from starlake_core_project import Domain

from starlake_core.errors import StarlakeError

from ..context import Context, refuse_options
from ..database import connect, ensure_schema
from ..driver import duckdb
from ..errors import EngineError, combined
from ..ingesting import sweep_unresolved
from ..loading import Plan, TableResult, plan_table
from ..locks import locked
from ..selection import warn_of_unknown
from ..statements import look_over
from ..surroundings import ALL_LOADS, writing
from ..table_loads import Loads, load_tables
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


def _planned(context: Context) -> tuple[list[tuple[Domain, list[Plan]]], list[StarlakeError]]:
    """The tables that can be loaded, by domain, and what is wrong with the others."""
    selection: list[tuple[Domain, list[Plan]]] = []
    failures: list[StarlakeError] = []
    for domain in context.selected_domains(context.values.get("domains")):
        plans: list[Plan] = []
        for table in context.project.tables(domain, context.values.get("tables")):
            try:
                plans.append(plan_table(context, table))
            except StarlakeError as error:
                failures.append(error)
        selection.append((domain, plans))
    return selection, failures


def _written(selection: Sequence[tuple[Domain, list[Plan]]]) -> list[tuple[str, str]]:
    return [
        ALL_LOADS,
        *((plan.table.final_domain, plan.table.final_name) for _, chosen in selection for plan in chosen),
    ]


def _statements(plan: Plan) -> list[str]:
    return [*plan.table.presql, *plan.table.postsql]


def _load(context: Context, selection: Sequence[tuple[Domain, list[Plan]]], complete: bool) -> list[Loads]:
    """Load the tables, database by database."""
    plans = [plan for _, chosen in selection for plan in chosen]
    work = Work.of(context)
    found: list[Loads] = []
    with ExitStack() as held:
        for plan in sorted(plans, key=lambda plan: (plan.table.domain, plan.table.name)):
            held.enter_context(locked(context.table_lock(plan.table)))
        for database in sorted({plan.database for plan in plans}):
            inside = [(domain, [plan for plan in chosen if plan.database == database]) for domain, chosen in selection]
            try:
                with connect(context, database) as connection, writing(database, _written(inside)):
                    look_over(
                        connection, [text for _, chosen in inside for plan in chosen for text in _statements(plan)]
                    )
                    for name in sorted({schema for schema, _ in _written(inside)}):
                        ensure_schema(connection, database, name)
                    found.append(load_tables(context, connection, inside, work, complete))
            except StarlakeError as error:
                found.append(Loads(failures=[error]))
            except duckdb.Error as error:
                found.append(Loads(failures=[EngineError(f"load failed: {error}")]))
    return found


def run(context: Context) -> int:
    """Carry out the command.

    Raises:
        EngineError: a table cannot be loaded; the others are.
        ProjectError: a file of the project is broken.
    """
    refuse_options("load", context.values, ("test", "inPlace"))
    warn_of_unknown(context, context.values.get("domains"), context.values.get("tables"))
    if context.selected_domains(context.values.get("domains")):  # in an unknown domain there is nothing to load
        refuse_options("load", context.values, ("files",))
    selection, failures = _planned(context)
    loads = _load(context, selection, complete=not failures)
    for domain, plans in selection:
        if plans:
            sweep_unresolved(context, domain)
    results = [result for found in loads for result in found.results]
    failures += [error for found in loads for error in found.failures]
    if results or not failures:
        _report(context, results, bool(loads) and all(found.repeated for found in loads))
    if failures:
        raise combined(failures)
    return 0
