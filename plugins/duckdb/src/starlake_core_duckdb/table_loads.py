"""Loads tables, each in a transaction of its own, so that the failure of one does not stop the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from starlake_core_project import Domain, Table

from starlake_core.errors import StarlakeError

from .batches import Batches
from .columns import ensure_table, in_the_way
from .context import Context
from .database import transaction
from .driver import duckdb
from .errors import EngineError, TooLarge
from .expectations import record_failure
from .ingesting import Claimed, archive, claim, clear_work, give_back, leftovers, loaded_names, loaded_paths
from .loading import Plan, TableResult, load_batch
from .surroundings import retried
from .telling import tell, tell_failure
from .work import Work

__all__ = ["Loads", "load_tables"]


@dataclass
class Loads:
    """What a call did in one database.

    Attributes:
        results: what is loaded, in the order of the tables.
        repeated: whether an earlier call under the same key did all of it.
        failures: why other tables, or other files, are not loaded.
    """

    results: list[TableResult] = field(default_factory=list)
    repeated: bool = False
    failures: list[StarlakeError] = field(default_factory=list)


@dataclass(frozen=True)
class _Unit:
    """What is one transaction: batches of files of one table."""

    plan: Plan
    batches: Sequence[Sequence[Claimed]]

    @property
    def files(self) -> list[Claimed]:
        return [item for batch in self.batches for item in batch]


def _belongs(item: Claimed, plan: Plan) -> bool:
    return (item.table.domain, item.table.name) == (plan.table.domain, plan.table.name)


def _units(context: Context, rule: Batches, plans: Sequence[Plan], claimed: Sequence[Claimed]) -> list[_Unit]:
    units: list[_Unit] = []
    for plan in plans:
        batches = rule.split([item for item in claimed if _belongs(item, plan)])
        if context.compat:
            units += [_Unit(plan, [batch]) for batch in batches]
        elif batches:
            units.append(_Unit(plan, batches))
    return units


def _merged(results: Sequence[TableResult]) -> list[TableResult]:
    """One result of each table, in the order in which the tables come first."""
    found: dict[tuple[str, str], TableResult] = {}
    for result in results:
        name = (result.domain, result.table)
        before = found.get(name)
        if before is not None:
            files = [*before.files, *result.files]
            accepted, rejected = before.accepted + result.accepted, before.rejected + result.rejected
            result = TableResult(*name, files, accepted, rejected)
        found[name] = result
    return list(found.values())


def _forget_archived(context: Context, connection: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    """Names of files that have left the ingesting folder are never asked for again."""
    here = {item.path.name for item in leftovers(context, plan.table)}
    paths = [Path(path) for path in loaded_paths(connection, plan.table)]
    gone = [str(path) for path in paths if path.name not in here and not path.exists()]
    connection.execute("DELETE FROM starlake_core.loaded_files WHERE list_contains($paths, path)", {"paths": gone})


def _load_unit(
    context: Context,
    connection: duckdb.DuckDBPyConnection,
    unit: _Unit,
    work: Work,
    before: Sequence[TableResult] | None,
) -> TableResult:
    """Load the files of a unit; the database then remembers the unit, or the whole call if this is the end of it.

    Args:
        before: the results so far if this is the last unit and nothing failed.
    """
    table, files = unit.plan.table, unit.files
    try:
        result = retried(
            lambda: _write_unit(context, connection, unit, work, before),
            lambda: bool(loaded_names(connection, table) & {item.path.name for item in files}),
        )
    except (duckdb.Error, StarlakeError, OSError) as failure:
        error = _explained(connection, table, failure)
        # A commit that raised may have happened all the same; then the files must not be loaded again.
        committed = loaded_names(connection, table)
        lost = [item for item in files if item.path.name not in committed]
        give_back(context, lost)
        if not lost:
            archive(context, files)
        clear_work(context, [table])
        if isinstance(error, TooLarge):  # Starlake creates the table before it inserts the rows
            with transaction(connection):
                columns = [(column.name, column.ddl) for column in unit.plan.columns]
                ensure_table(connection, table.final_domain, table.final_name, columns)
        work.log_failure(connection, [(table.domain, table.name)], str(error))
        record_failure(connection, work, error)
        tell_failure(context, error, f"{table.domain}.{table.name}")
        if error is failure:
            raise
        raise error from failure
    try:
        unit.plan.checks.outside(connection, work)
    except StarlakeError as error:
        tell_failure(context, error, f"{table.domain}.{table.name}")
        give_back(context, files)  # as Starlake leaves them in ingesting, although their rows stay
        raise
    archive(context, files)
    return result


def _explained(connection: duckdb.DuckDBPyConnection, table: Table, error: Exception) -> Exception:
    """The error to report when the rows of a table could not be written."""
    target = (table.final_domain, table.final_name)
    if not in_the_way(connection, target, "VIEW", error):
        return error
    name = ".".join(target)
    return EngineError(
        f"{name} is a view in the database, and rows are written into tables only; remove it first (DROP VIEW {name})"
    )


def _write_unit(
    context: Context,
    connection: duckdb.DuckDBPyConnection,
    unit: _Unit,
    work: Work,
    before: Sequence[TableResult] | None,
) -> TableResult:
    """Write the rows of a unit, in one transaction."""
    table = unit.plan.table
    with transaction(connection):
        _forget_archived(context, connection, unit.plan)
        counts = [load_batch(connection, context, unit.plan, batch, work) for batch in unit.batches]
        unit.plan.checks.inside(connection, work)
        accepted, rejected = sum(found.accepted for found in counts), sum(found.rejected for found in counts)
        result = TableResult(table.domain, table.name, [item.name for item in unit.files], accepted, rejected)
        whole = None if before is None else [asdict(entry) for entry in _merged([*before, result])]
        if whole is None:
            work.record(connection, asdict(result), unit.files[0].path.name)
        else:
            work.record(connection, whole)
        clear_work(context, [table])
    return result


def _claim(
    context: Context,
    selection: Sequence[tuple[Domain, Sequence[Plan]]],
    left: Sequence[Claimed],
    done: Sequence[TableResult],
) -> list[Claimed]:
    """The files to load: what an earlier load left, and what waits for tables that are not loaded yet."""
    loaded = {(result.domain, result.table) for result in done}
    claimed = list(left)
    try:
        for domain, plans in selection:
            wanted = [plan.table for plan in plans if (plan.table.domain, plan.table.name) not in loaded]
            claimed += claim(context, domain, wanted)
    except OSError:
        give_back(context, claimed)
        raise
    return claimed


def load_tables(
    context: Context,
    connection: duckdb.DuckDBPyConnection,
    selection: Sequence[tuple[Domain, Sequence[Plan]]],
    work: Work,
    complete: bool,
) -> Loads:
    """Load what there is to load. The caller holds the locks of the tables and the connection.

    The files of a table that fails are back in stage, and none of their rows is in the table. Starlake loads every file for itself, and
    leaves those that fail in ingesting.

    Args:
        selection: the domains, each with the tables that are wanted.
        complete: whether these are all tables of the call; otherwise the call is never remembered as done.

    Raises:
        EngineError, duckdb.Error, OSError: nothing was loaded; the files are back in stage.
    """
    rule = Batches.of(context)
    plans = [plan for _, chosen in selection for plan in chosen]
    clear_work(context, [plan.table for plan in plans])
    known = {name for plan in plans for name in loaded_names(connection, plan.table)}
    left = [item for plan in plans for item in leftovers(context, plan.table)]
    archive(context, [item for item in left if item.path.name in known])
    earlier = work.results(connection)
    whole = next((result for result in earlier if isinstance(result, list)), None)
    if whole is not None:
        repeated = [TableResult(**entry) for entry in whole]
        _tell(context, connection, plans, repeated)
        return Loads(repeated, repeated=True)
    done = [TableResult(**result) for result in earlier]
    loads = Loads()
    units = _units(
        context, rule, plans, _claim(context, selection, [i for i in left if i.path.name not in known], done)
    )
    for number, unit in enumerate(units):
        last = complete and not loads.failures and number == len(units) - 1
        try:
            done.append(_load_unit(context, connection, unit, work, done if last else None))
        except StarlakeError as error:
            loads.failures.append(error)
        except (duckdb.Error, OSError) as error:
            loads.failures.append(
                EngineError(f"the load of {unit.plan.table.domain}.{unit.plan.table.name} failed: {error}")
            )
    loads.results = _merged(done)
    if complete and not units:
        with transaction(connection):
            work.record(connection, [asdict(result) for result in loads.results])
    _tell(context, connection, plans, loads.results)
    return loads


def _tell(
    context: Context, connection: duckdb.DuckDBPyConnection, plans: Sequence[Plan], results: Sequence[TableResult]
) -> None:
    done = {(result.domain, result.table): result for result in results}
    for plan in plans:
        table = plan.table
        result = done.get((table.domain, table.name))
        if result is not None:
            tell(
                context,
                connection,
                (table.final_domain, table.final_name),
                plan.checks,
                table=f"{table.domain}.{table.name}",
                accepted=result.accepted,
                rejected=result.rejected,
                kind="TABLE",
            )
