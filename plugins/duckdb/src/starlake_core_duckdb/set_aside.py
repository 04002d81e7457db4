"""What a query sets aside while it runs: the rows that it leaves out, each with a message.

A query has one result. Its only other way out is DuckDB's log, to which ``write_log`` adds a message for each row that reaches it. The log
belongs to the instance, so it is on only while a query needs it, for messages of one type, and not at all if somebody else uses it.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

from .driver import duckdb
from .sql import Parameters

__all__ = ["SetAside", "set_aside"]

_TYPE = "starlake_core"
_SETTINGS = {
    "logging_mode": "ENABLE_SELECTED",
    "enabled_log_types": _TYPE,
    "logging_level": "INFO",
    "enable_logging": "true",
}
_lock = threading.Lock()
_users: dict[str, int] = {}


@dataclass(frozen=True)
class SetAside:
    """The rows that one query sets aside.

    Attributes:
        token: begins their messages in the log.
    """

    token: str

    def row(self, number: str, errors: str, record: str, parameters: Parameters) -> str:
        """A condition in SQL that is false, and sets the row aside.

        Args:
            number, errors, record: SQL expressions; they are computed for these rows only.
        """
        text = f"concat({parameters.add(self.token)}, {number}, ':', length({errors}), ':', {errors}, {record})"
        return f"write_log({text}, log_type := '{_TYPE}', level := 'INFO', return_value := false)"

    def rows(self, parameters: Parameters) -> str:
        """A query with the columns ``n``, ``errors`` and ``record`` of the rows."""
        token = parameters.add(self.token)
        text = "substr(rest, strlen(split_part(rest, ':', 1)) + strlen(split_part(rest, ':', 2)) + 3)"
        size = "CAST(split_part(rest, ':', 2) AS BIGINT)"
        return (
            f"SELECT CAST(split_part(rest, ':', 1) AS BIGINT) AS n, substr({text}, 1, {size}) AS errors, substr({text}, {size} + 1) AS record "
            f"FROM (SELECT substr(message, strlen({token}) + 1) AS rest FROM duckdb_logs() "
            f"WHERE type = '{_TYPE}' AND starts_with(message, {token}))"
        )


@contextmanager
def set_aside(connection: duckdb.DuckDBPyConnection) -> Iterator[SetAside | None]:
    """A context in which queries can set rows aside; None if the log of the database is in use, or cannot be used."""
    # A connection of its own: the transaction of the other one may have failed when the log is turned off.
    with closing(connection.cursor()) as own:
        place = own.execute("SELECT path FROM duckdb_databases() WHERE database_name = current_database()").fetchone()
        instance = str(place[0] if place else None)
        usable = _enter(own, instance)
        try:
            yield SetAside(f"{uuid.uuid4().hex}:") if usable else None
        finally:
            if usable:
                _leave(own, instance)


def _enter(connection: duckdb.DuckDBPyConnection, instance: str) -> bool:
    with _lock:
        if not _users.get(instance) and not _turn_on(connection):
            return False
        _users[instance] = _users.get(instance, 0) + 1
        return True


def _leave(connection: duckdb.DuckDBPyConnection, instance: str) -> None:
    with _lock:
        _users[instance] -= 1
        if not _users[instance]:
            del _users[instance]
            _turn_off(connection)


def _turn_on(connection: duckdb.DuckDBPyConnection) -> bool:
    try:
        used = connection.execute("SELECT current_setting('enable_logging')").fetchone()
        if used is None or used[0]:
            return False
        for name, value in _SETTINGS.items():
            connection.execute(f"SET {name} = '{value}'")
    except duckdb.Error:  # another version, or the settings are locked
        _turn_off(connection)
        return False
    return True


def _turn_off(connection: duckdb.DuckDBPyConnection) -> None:
    for name in reversed(_SETTINGS):
        with suppress(duckdb.Error):
            connection.execute(f"RESET {name}")
    with suppress(duckdb.Error):  # DuckDB 1.2 forgets it with the instance
        connection.execute("CALL truncate_duckdb_logs()")
