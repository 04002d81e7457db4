"""What a table computes of its accepted rows: attributes with ``script``, and ``filter``. Both are expressions in the SQL of Spark."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from starlake_core_project import Table

from .casting import Column
from .driver import duckdb
from .errors import unsupported
from .sql import identifier

__all__ = ["check_computed", "compute"]

_log = logging.getLogger(__name__)


def check_computed(connection: duckdb.DuckDBPyConnection, table: Table, columns: Sequence[Column], batch: str) -> None:
    """Refuse expressions that DuckDB cannot compute, before any file is read.

    Args:
        batch: the table that the rows will be in.

    Raises:
        ProjectFault: an expression is not supported.
    """
    wanted = [(f"attribute {column.attribute.name!r}: script", column.attribute.script) for column in columns]
    for what, expression in [*wanted, ("table.filter", table.filter)]:
        if expression:
            where = f"{table.path}: {what} {expression!r}"
            try:
                connection.execute(f"SELECT {_in_duckdb(expression, where)} FROM {batch} LIMIT 0")
            except duckdb.Error as error:
                raise unsupported(f"{where}: {str(error).splitlines()[0]}; it") from error


def compute(connection: duckdb.DuckDBPyConnection, table: Table, columns: Sequence[Column], batch: str) -> None:
    """Compute the attributes with ``script``, one after the other, and leave out the rows that ``filter`` does not want.

    Raises:
        ProjectFault: an expression is not supported.
    """
    for column in columns:
        if column.attribute.script:
            expression = _in_duckdb(column.attribute.script, f"{table.path}: attribute {column.attribute.name!r}")
            connection.execute(
                f"UPDATE {batch} SET {identifier(column.name)} = TRY_CAST(({expression}) AS {column.ddl})"
            )
    if table.filter:
        wanted = _in_duckdb(table.filter, f"{table.path}: table.filter")
        found = connection.execute(f"DELETE FROM {batch} WHERE ({wanted}) IS NOT TRUE").fetchone()
        if found and found[0]:
            _log.info("%s.%s: the filter leaves out %s row(s)", table.domain, table.name, found[0])


def _in_duckdb(expression: str, where: str) -> str:
    from sqlglot import exp, parse
    from sqlglot.errors import SqlglotError

    try:
        parsed = parse(expression, read="spark")
    except SqlglotError as error:
        raise unsupported(f"{where}: {str(error).splitlines()[0]}; it") from error
    if len(parsed) != 1 or parsed[0] is None or isinstance(parsed[0], exp.Command):
        raise unsupported(f"{where}, which is not one expression,")
    return parsed[0].sql(dialect="duckdb")
