"""The database file: where it is, who may write, and transactions in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .bookkeeping import bookkeeping_changes
from .context import Context
from .driver import duckdb
from .errors import EngineError, ProjectFault, unsupported
from .locks import locked

__all__ = ["connect", "database_path", "transaction"]

_URL = "jdbc:duckdb:"


def database_path(context: Context, connection_ref: str | None, what: str) -> Path:
    """The file of a connection.

    ``SL_DUCKDB_PATH`` is stronger than the application's ``duckdbPath``, which is stronger than the URL; a
    project without connections gets ``duckdb.db`` in its datasets folder.

    Args:
        connection_ref: the connection to use, or None for a project that names none.
        what: what wants it, for messages.

    Raises:
        EngineError: the connection does not exist or is not DuckDB.
    """
    application = context.project.application
    url_path = None
    if connection_ref is not None:
        connection = context.project.connection(connection_ref)
        if connection is None:
            known = ", ".join(sorted(application.connections)) or "none"
            raise ProjectFault(
                f"{what} uses the connection {connection_ref!r}, which metadata/application.sl.yml does not define "
                f"(defined: {known})"
            )
        url = connection.options.get("url", "")
        if not url.startswith(_URL) and connection.type != "duckdb":
            raise unsupported(f"the connection {connection_ref!r} of {what} (type {connection.type or 'missing'!r})")
        url_path = url.removeprefix(_URL).partition("?")[0] or connection.options.get("path")
        if url_path == ":memory:":
            raise ProjectFault(f"the connection {connection_ref!r} is an in-memory database; give its url a file")
    chosen = context.duckdb_path or application.duckdb_path or url_path
    return context.project.root / chosen if chosen else application.datasets / "duckdb.db"


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


@contextmanager
def connect(context: Context, path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the database as its only writer; wait for earlier processes to finish.

    Raises:
        EngineError: a program that does not take the lock has the file open, or it is not a database.
        ProjectFault: ``SL_DUCKDB_STORAGE_VERSION`` is not a version.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(f"{path.name}.lock")):
        try:
            if not path.exists():
                _create(path, context.storage_version)
            connection = _open(path)
        except duckdb.Error as error:
            raise EngineError(
                f"cannot open {path}: {error}; close other programs that have the database open for writing"
            ) from error
        try:
            connection.execute("SET TimeZone = $zone", {"zone": context.timezone})
            changes = bookkeeping_changes(connection)
            if changes:
                with transaction(connection):
                    for statement in changes:
                        connection.execute(statement)
            yield connection
        finally:
            connection.close()


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
