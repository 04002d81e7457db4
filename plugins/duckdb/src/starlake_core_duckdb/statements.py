"""SQL that the user wrote: pre- and post-statements, and queries."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from .driver import duckdb
from .errors import EngineError, ProjectFault
from .surroundings import found

__all__ = ["look_over", "query_parts", "run_statements"]


def _parsed(connection: duckdb.DuckDBPyConnection, text: str, source: Path) -> list[duckdb.Statement]:
    try:
        statements = connection.extract_statements(text)
    except duckdb.Error as error:
        raise ProjectFault(f"{source}: the SQL is broken: {error}") from error
    if any(statement.type == duckdb.StatementType.TRANSACTION for statement in statements):
        raise ProjectFault(f"{source}: BEGIN, COMMIT and ROLLBACK are not allowed; a command is one transaction")
    return list(statements)


def look_over(connection: duckdb.DuckDBPyConnection, texts: Sequence[str]) -> None:
    """Find statements that need a process of their own, before anything is done. What is broken is reported when it is its turn.

    Raises:
        NeedsProcess: there is one, and this is the warm engine.
    """
    for text in texts if found() is not None else ():
        with suppress(duckdb.Error):
            connection.extract_statements(text)


def run_statements(connection: duckdb.DuckDBPyConnection, texts: Sequence[str], source: Path) -> None:
    """Execute the ``presql`` or ``postsql`` of a file, inside the current transaction.

    Raises:
        EngineError: a statement fails, or would end the transaction.
    """
    for text in texts:
        for statement in _parsed(connection, text, source):
            try:
                connection.execute(statement)
            except duckdb.Error as error:
                raise EngineError(f"{source}: {text.strip()!r} fails: {error}") from error


def query_parts(connection: duckdb.DuckDBPyConnection, text: str, source: Path) -> tuple[list[str], str]:
    """Split a query file: the statements before the query, and the query, which comes last.

    Raises:
        EngineError: there is no query, or a statement would end the transaction.
    """
    statements = [statement.query for statement in _parsed(connection, text, source)]
    if not statements:
        raise ProjectFault(f"{source}: there is no query in this file")
    return statements[:-1], statements[-1]
