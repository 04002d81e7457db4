"""The databases of an engine: each is opened for its first command, and released when nobody uses it or another process waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ..database import open_database
from ..driver import duckdb
from ..errors import EngineError
from ..locks import TurnLock
from ..memory import Memory

__all__ = ["Database", "Instance"]

_IDLE_SECONDS = 0.3
_LONGEST_IDLE_SECONDS = 2.0
"""How long a database stays open without a command, if commands come one after the other with pauses."""
_LOOK_SECONDS = 0.05
_OPEN_SECONDS = 5.0


class _Opening:
    """One attempt to open a database."""

    error: BaseException | None = None


@dataclass(frozen=True)
class Instance:
    """An open database.

    Attributes:
        root: the connection that cursors are made of.
        timezone: the time zone of a new cursor; empty if it is not known.
        memory: what is known about it.
    """

    root: duckdb.DuckDBPyConnection
    timezone: str
    memory: Memory = field(default_factory=Memory)


def _zoned(root: duckdb.DuckDBPyConnection, timezone: str) -> Instance:
    try:
        root.execute("SET GLOBAL TimeZone = $zone", {"zone": timezone})
    except duckdb.Error:
        timezone = ""  # the command that needs it fails, and no other one
    return Instance(root, timezone)


class Database:
    """One database and the instance of DuckDB that all commands share.

    Its lock is held only while it is open. While another process waits for it, no command begins, so that process gets its turn.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = threading.Condition()
        self._instance: Instance | None = None
        self._lock: TurnLock | None = None
        self._users = 0
        self._busy = False
        self._leaving = False
        self._unused_since = 0.0
        self._left_at: float | None = None
        self._pause = 0.0
        self._opening: _Opening | None = None

    def enter(
        self, check: Callable[[], None], version: str, timezone: str
    ) -> tuple[Instance, duckdb.DuckDBPyConnection]:
        """Wait until the database is open, and return its instance and a cursor. Call :meth:`leave` after use.

        Args:
            check: called while it waits; may raise to end the wait.
            version: the format of the file, if it is made.
            timezone: the time zone of new cursors, if it is opened. Another command may have opened it with another one.

        Raises:
            EngineError: the database cannot be opened.
            duckdb.FatalException: the instance is broken; the next call waits for another one.
        """
        mine: _Opening | None = None
        with self._changed:
            self._learn_pause()
            while True:
                check()
                if self._instance is not None and not self._leaving:
                    try:
                        cursor = self._instance.root.cursor()
                    except duckdb.FatalException:
                        self._leaving = True
                        raise
                    self._users += 1
                    return self._instance, cursor
                if mine is not None and mine.error is not None:
                    raise mine.error
                if self._instance is None and not self._busy:
                    self._begin(version, timezone)
                mine = self._opening
                self._changed.wait(_LOOK_SECONDS)

    def _learn_pause(self) -> None:
        if not self._users and self._left_at is not None:
            pause = time.monotonic() - self._left_at
            self._pause = max(pause, 0.8 * self._pause) if 2 * pause <= _LONGEST_IDLE_SECONDS else 0.0

    @property
    def _patience(self) -> float:
        """How long it stays open without a command: opening it again takes longer than a small command, and shuts others out, too."""
        return min(max(_IDLE_SECONDS, 2 * self._pause), _LONGEST_IDLE_SECONDS)

    def _begin(self, version: str, timezone: str) -> None:
        # In a thread of its own, because nobody can cancel the wait for the lock.
        opening = _Opening()
        arguments = (opening, version, timezone)
        threading.Thread(target=self._open, args=arguments, name="starlake-open", daemon=True).start()
        self._busy, self._opening = True, opening

    def _open(self, opening: _Opening, version: str, timezone: str) -> None:
        try:
            lock = TurnLock(self._path.with_name(f"{self._path.name}.lock"))
            lock.__enter__()
            try:
                instance = _zoned(self._opened(version), timezone)
            except BaseException:
                lock.close()
                raise
            with self._changed:
                self._instance, self._lock, self._unused_since = instance, lock, time.monotonic()
        except BaseException as error:
            opening.error = error
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _opened(self, version: str) -> duckdb.DuckDBPyConnection:
        deadline = time.monotonic() + _OPEN_SECONDS
        while True:
            try:
                return open_database(self._path, version)
            except EngineError as error:
                # Somebody looks at it, who takes no lock of ours.
                if not isinstance(error.__cause__, duckdb.IOException) or time.monotonic() >= deadline:
                    raise
            time.sleep(_LOOK_SECONDS)

    def leave(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Give a cursor back."""
        try:
            cursor.close()
        finally:
            with self._changed:
                self._users -= 1
                self._unused_since = self._left_at = time.monotonic()

    def retire(self, instance: Instance) -> None:
        """Let no other command use an instance that is broken; the next one opens another.

        Args:
            instance: the instance.
        """
        with self._changed:
            if self._instance is instance:
                self._leaving = True

    def tidy(self, at_once: bool = False) -> bool:
        """Close the database if nobody uses it any more. Call it often.

        Args:
            at_once: do not wait for the next command.

        Returns:
            Whether it is closed.
        """
        with self._changed:
            if self._instance is None or self._busy:
                return self._instance is None and not self._busy
            assert self._lock is not None
            self._leaving = self._leaving or self._lock.wanted
            idle = time.monotonic() - self._unused_since
            if self._users or not (at_once or self._leaving or idle >= self._patience):
                return False
            self._busy = True
            root, lock = self._instance.root, self._lock
            self._instance = self._lock = None
        try:
            with suppress(duckdb.Error):  # an instance that is broken
                root.close()
        finally:
            lock.close()
            with self._changed:
                self._busy = self._leaving = False
                self._changed.notify_all()
        return True
