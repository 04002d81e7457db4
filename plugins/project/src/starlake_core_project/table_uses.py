"""Finds the tables that SQL reads. sqlglot parses it, and is imported only when this is needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import ProjectError

__all__ = ["tables_read"]


def tables_read(sql: str, path: Path) -> frozenset[tuple[str, str]]:
    """Return the domain and name, in lower case, of every table with a domain that one or more statements read.

    Args:
        sql: the statements, rendered and with complete names.
        path: the file of the statements, for messages.

    Raises:
        ProjectError: the statements cannot be parsed.
    """
    from sqlglot import exp, parse
    from sqlglot.errors import SqlglotError

    try:
        statements = [statement for statement in parse(sql, dialect="duckdb") if statement is not None]
    except (SqlglotError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise ProjectError(
            f"{path}: the query cannot be parsed, so the tables that it reads are not known: {reason}"
        ) from error
    unknown = next((statement for statement in statements if isinstance(statement, exp.Command)), None)
    if unknown is not None:
        raise ProjectError(f"{path}: the tables that the statement {unknown.name.upper()} reads are not known")
    # A name with a domain is never that of a common table expression.
    tables = (table for statement in statements for table in _tables(statement))
    return frozenset((table.db.lower(), table.name.lower()) for table in tables if table.db and table.name)


def _tables(statement: Any) -> Iterator[Any]:
    """Yield every table of a statement but the one that it writes."""
    from sqlglot import exp

    writes = isinstance(statement, (exp.Create, exp.Delete, exp.Drop, exp.Insert, exp.Merge, exp.Update))
    target = statement.this.find(exp.Table) if writes and isinstance(statement.this, exp.Expression) else None
    return (table for table in statement.find_all(exp.Table) if table is not target)
