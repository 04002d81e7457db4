"""Loads a regular DSV file in one pass of DuckDB's reader: good rows go straight into their table, and the others are set aside.

That is possible where rows are appended, or replace all others, and need nothing else than a conversion. What comes out is what
:mod:`.batch` and :mod:`.strategies` make of the file; everything that does not fit here is left to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from starlake_core_project import Table

from .archives import opened
from .batch import REJECTS, Counts, forget_broken, has_broken, read_errors
from .bookkeeping import last_rejected, list_rejected
from .casting import Column, has_privacy
from .checks import NO_FAULT, column_checks
from .columns import ensure_table
from .driver import duckdb
from .dsv import dsv_scan, expected_rows
from .formats import format_of
from .reading import Reading, ReadingRules
from .set_aside import SetAside, set_aside
from .sql import Parameters, identifier, qualified
from .strategies import Strategy
from .type_patterns import patterns_without_re2
from .work import Work, utc_now

__all__ = ["Direct", "load_directly"]


class Direct(NamedTuple):
    """What became of a load.

    Attributes:
        counts: how many rows were accepted and rejected; None if nothing was loaded.
        irregular: whether DuckDB alone would not read the file rightly.
    """

    counts: Counts | None = None
    irregular: bool = False


def load_directly(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    columns: Sequence[Column],
    strategy: Strategy,
    files: Sequence[tuple[Path, str]],
    work: Work,
    rules: ReadingRules,
) -> Direct:
    """Load the files of a table if that is possible in one pass.

    Args:
        files: the files and the names they came with.
        rules: what holds for every file.

    Raises:
        EngineError: the file cannot be read in the format of the table.
    """
    if len(files) != 1 or not _is_plain(table, columns, strategy, rules) or files[0][1].lower().endswith(".zip"):
        return Direct()
    found = Direct()
    for path, name in opened(files, rules, format_of(table)):
        with read_errors(table, path, name, rules):
            reading = Reading(table, columns, path, name, REJECTS, rules)
            expected = expected_rows(connection, reading)
            if expected is None:
                return Direct(irregular=True)
            found = _load(connection, reading, strategy, work, expected)
    return found


def _is_plain(table: Table, columns: Sequence[Column], strategy: Strategy, rules: ReadingRules) -> bool:
    return (
        format_of(table) == "DSV"
        and not rules.compat
        and strategy.type in ("APPEND", "OVERWRITE")
        and not (strategy.key or strategy.period)
        and not table.filter
        and not has_privacy(table)
        and not any(
            column.nested or column.strict or column.attribute.script or patterns_without_re2(column.type)
            for column in columns
        )
    )


def _load(
    connection: duckdb.DuckDBPyConnection, reading: Reading, strategy: Strategy, work: Work, expected: int
) -> Direct:
    table = reading.table
    target = (table.final_domain, table.final_name)
    declared = [(column.name, column.ddl) for column in reading.columns]
    created = ensure_table(connection, *target, strategy.columns_of_table(declared))
    if not created and not _takes(connection, target, declared):
        return Direct()
    with set_aside(connection) as aside:
        if aside is None:
            return Direct()
        if strategy.type == "OVERWRITE" and not created:
            connection.execute(f"DELETE FROM {qualified(*target)}")
        last = connection.execute(f"SELECT max(rowid) FROM {qualified(*target)}").fetchone()
        forget_broken(connection)
        statement, parameters = _insert(reading, target, aside)
        accepted = _number(connection.execute(statement, parameters.values).fetchone())
        parameters = Parameters()
        wrong = aside.rows(parameters)
        rejected = _number(connection.execute(f"SELECT count(*) FROM ({wrong})", parameters.values).fetchone())
        if accepted + rejected != expected or has_broken(connection):
            before = -1 if last is None or last[0] is None else last[0]
            connection.execute(f"DELETE FROM {qualified(*target)} WHERE rowid > $before", {"before": before})
            return Direct(irregular=True)
        if rejected:
            _keep(connection, reading, work, wrong, parameters)
    return Direct(Counts(accepted, rejected))


def _takes(connection: duckdb.DuckDBPyConnection, target: tuple[str, str], declared: Sequence[tuple[str, str]]) -> bool:
    """Whether rows of the declared types go into an existing table as they are, and can be taken out again."""
    named = {"schema": target[0], "table": target[1]}
    where = "database_name = current_database() AND lower(schema_name) = lower($schema) AND lower(table_name) = lower($table)"
    limits = "SELECT table_name FROM duckdb_constraints() WHERE {0} UNION ALL SELECT table_name FROM duckdb_indexes() WHERE {0}"
    if connection.execute(f"{limits.format(where)} LIMIT 1", named).fetchone() is not None:
        return False
    rows = connection.execute(f"SELECT column_name, data_type FROM duckdb_columns() WHERE {where}", named).fetchall()
    present = {name.lower(): kind for name, kind in rows}
    wanted = ", ".join(f"CAST(NULL AS {ddl}) AS {identifier(name)}" for name, ddl in declared)
    types = connection.execute(f"DESCRIBE SELECT {wanted}").fetchall()
    return all(present.get(row[0].lower()) == row[1] for row in types)


def _insert(reading: Reading, target: tuple[str, str], aside: SetAside) -> tuple[str, Parameters]:
    parameters = Parameters()
    scan = dsv_scan(reading, parameters)
    checks = [
        column_checks(reading.table, column, f"v{index}", parameters, name=f"t{index}")
        for index, column in enumerate(reading.columns)
    ]
    fields = ", ".join(scan.fields)
    typed = ", ".join(f"{value} AS t{index}" for index, (value, _, _) in enumerate(checks))
    faults = [f"({fault})" for _, fault, _ in checks if fault != NO_FAULT] or [f"({NO_FAULT})"]
    good = " AND ".join(condition for _, _, condition in checks if condition) or "true"
    errors = f"concat_ws('; ', {', '.join(faults)})"
    kept = ", ".join(f"t{index}" for index in range(len(checks)))
    named = ", ".join(identifier(column.name) for column in reading.columns)
    statement = (
        f"INSERT INTO {qualified(*target)} ({named}) SELECT {kept} FROM (SELECT *, {typed} FROM ("
        f"SELECT row_number() OVER () AS n, {fields}, {scan.values} FROM {scan.source})) "
        # Only a CASE leaves the rows that are good alone.
        f"WHERE CASE WHEN {good} THEN true ELSE {aside.row('n', errors, scan.record, parameters)} END"
    )
    return statement, parameters


def _keep(
    connection: duckdb.DuckDBPyConnection, reading: Reading, work: Work, wrong: str, parameters: Parameters
) -> None:
    listed = last_rejected(connection)
    table = reading.table
    values = (work.run_key, table.domain, table.name, reading.name)
    key, domain, name, file = (parameters.add(value) for value in values)
    connection.execute(
        f"INSERT INTO starlake_core.rejected SELECT {key}, {domain}, {name}, {file}, n, record, errors, {parameters.add(utc_now())} "
        f"FROM ({wrong}) ORDER BY n",
        parameters.values,
    )
    list_rejected(connection, listed)


def _number(row: tuple[object, ...] | None) -> int:
    return int(str(row[0])) if row else 0
