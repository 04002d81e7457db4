"""The database file: where it is, who may write, and transactions in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .bookkeeping import bookkeeping_changes
from .context import Context
from .driver import duckdb
from .errors import EngineError, ProjectFault
from .locks import TurnLock
from .places import database_path
from .sql import identifier
from .surroundings import found, retried, writing

__all__ = ["connect", "database_path", "ensure_schema", "make_schema", "open_database", "transaction"]


def _open(path: Path | str, **config: str) -> duckdb.DuckDBPyConnection:
    # Extensions are never fetched: this engine works without a network.
    offline = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    return duckdb.connect(str(path), config={**offline, **config})


def _create(path: Path, version: str) -> None:
    """Make the database under another name first: DuckDB cannot open a file that a crash left half made.

    Raises:
        ProjectFault: this DuckDB does not know the version.
    """
    unfinished = path.with_name(f"{path.name}.new")
    for leftover in (unfinished, path.with_name(f"{path.name}.new.wal")):
        leftover.unlink(missing_ok=True)
    try:
        _open(unfinished, storage_compatibility_version=version).close()
    except duckdb.InvalidInputException as error:
        raise ProjectFault(
            f"SL_DUCKDB_STORAGE_VERSION is {version!r}; give a version of DuckDB such as v1.2.0, or latest: {error}"
        ) from error
    os.rename(unfinished, path)


def open_database(path: Path, version: str) -> duckdb.DuckDBPyConnection:
    """Open a database with the engine's own tables, and make it if it does not exist. The caller holds its lock.

    Args:
        version: the format of a database that is made.

    Raises:
        EngineError: a program that does not take the lock has the file open, or it is not a database.
        ProjectFault: the version is none.
    """
    try:
        if not path.exists():
            _create(path, version)
        connection = _open(path)
    except duckdb.Error as error:
        raise EngineError(
            f"cannot open {path}: {error}; close other programs that have the database open for writing"
        ) from error
    try:
        changes = bookkeeping_changes(connection)
        if changes:
            with transaction(connection):
                for statement in changes:
                    connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def connect(context: Context, path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the database as its only writer; wait for earlier processes to finish. In the warm engine, share its instance.

    Raises:
        EngineError: a program that does not take the lock has the file open, or it is not a database.
        ProjectFault: ``SL_DUCKDB_STORAGE_VERSION`` is not a version.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    surroundings = found()
    if surroundings is not None:
        with surroundings.connect(context, path) as connection:
            yield connection
        return
    with TurnLock(path.with_name(f"{path.name}.lock")):
        connection = open_database(path, context.storage_version)
        try:
            connection.execute("SET TimeZone = $zone", {"zone": context.timezone})
            yield connection
        finally:
            connection.close()


def ensure_schema(connection: duckdb.DuckDBPyConnection, path: Path, name: str) -> None:
    """Make a schema before the transaction that needs it, where other commands may make it, too: two such transactions exclude each other.

    Args:
        path: the database.
        name: the schema.
    """
    surroundings = found()
    if surroundings is not None and not surroundings.memory.has_schema(name):
        with writing(path, [(name, "")]):
            retried(lambda: make_schema(connection, name), lambda: False)
        surroundings.memory.keep_schema(name)


def make_schema(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Make a schema in the current transaction, unless it is there."""
    surroundings = found()
    if surroundings is None or not surroundings.memory.has_schema(name):
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(name)}")


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All of it or nothing."""
    connection.begin()
    try:
        yield
        connection.commit()
    except BaseException:
        _rollback(connection)
        raise


def _rollback(connection: duckdb.DuckDBPyConnection) -> None:
    # A failed commit has ended the transaction already.
    with suppress(duckdb.Error):
        connection.rollback()
