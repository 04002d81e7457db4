"""Where the database of a project is. DuckDB is not needed to know that."""

from __future__ import annotations

from pathlib import Path

from starlake_core_project import Project

from .context import Context
from .errors import ProjectFault, unsupported

__all__ = ["database_path", "usual_database"]

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
    return _database(context.project, context.duckdb_path, connection_ref, what)


def usual_database(project: Project, duckdb_path: str | None) -> Path:
    """The database that transforms write if they do not name a connection.

    Args:
        duckdb_path: the value of ``SL_DUCKDB_PATH``, or None.

    Raises:
        EngineError: the connection does not exist or is not DuckDB.
    """
    application = project.application
    return _database(project, duckdb_path, application.transform_connection_ref or application.connection_ref, "")


def _database(project: Project, duckdb_path: str | None, connection_ref: str | None, what: str) -> Path:
    application = project.application
    url_path = None
    if connection_ref is not None:
        connection = project.connection(connection_ref)
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
    chosen = duckdb_path or application.duckdb_path or url_path
    return project.root / chosen if chosen else application.datasets / "duckdb.db"
