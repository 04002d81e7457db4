"""One command in an engine: what it may do next to others, how it is cancelled, and what happens when DuckDB fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from .. import cli
from ..context import Context
from ..driver import duckdb
from ..memory import Memory
from ..surroundings import Interruption, NeedsProcess, surrounded
from .databases import Database
from .output import routed

__all__ = ["ALONE", "CANCELLED", "Command", "Shared"]

CANCELLED = -15
"""The exit code of a cancelled command: that of a process that SIGTERM ends."""
ALONE = 256
"""Instead of an exit code: the command needs a process of its own, and has done nothing."""
_AGAIN_SECONDS = 0.02
_LOOK_SECONDS = 0.05
_INSTANCES = 5
_PERMITTED = frozenset(
    getattr(duckdb.StatementType, name)
    for name in (
        "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE_INTO", "CREATE", "CREATE_FUNC", "ALTER", "DROP", "COPY", "EXPLAIN", "PREPARE",
        "EXECUTE", "MULTI", "ANALYZE", "VACUUM", "VARIABLE_SET", "TRANSACTION",
    )
    if hasattr(duckdb.StatementType, name)
)  # fmt: skip
"""Statements that others of the same instance do not feel. Most of the rest changes settings or databases of all of them."""


_LASTING = frozenset(
    getattr(duckdb.StatementType, name)
    for name in ("SELECT", "INSERT", "UPDATE", "DELETE", "MERGE_INTO", "CREATE", "COPY", "VARIABLE_SET")
    if hasattr(duckdb.StatementType, name)
)
"""Statements after which every schema is still there."""


class _Cancelled(Interruption):
    """The run has cancelled the command."""


class _InstanceLost(Interruption):
    """DuckDB accepts nothing more before the database is closed and opened again."""


class Shared:
    """What the commands of an engine share: databases, and locks by name."""

    def __init__(self) -> None:
        self._databases: dict[Path, Database] = {}
        self._held: set[Hashable] = set()
        self._changed = threading.Condition()

    def database(self, path: Path) -> Database:
        """The database of a file."""
        real = path.parent.resolve() / path.name if not path.exists() else path.resolve()
        with self._changed:
            return self._databases.setdefault(real, Database(real))

    def tidy(self, at_once: bool = False) -> bool:
        """Close databases that nobody uses; see :meth:`Database.tidy`."""
        with self._changed:
            databases = list(self._databases.values())
        closed = [database.tidy(at_once) for database in databases]
        return all(closed)

    @contextmanager
    def hold(self, name: Hashable, check: Callable[[], None]) -> Iterator[None]:
        """Hold a lock; wait for it.

        Args:
            name: its name.
            check: called while it waits; may raise to end the wait.
        """
        with self._changed:
            while name in self._held:
                check()
                self._changed.wait(_LOOK_SECONDS)
            self._held.add(name)
        try:
            yield
        finally:
            with self._changed:
                self._held.discard(name)
                self._changed.notify_all()


class _Session:
    """A cursor that ends its command when it is cancelled or the instance is broken, and lets it do only what others do not feel."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, command: Command) -> None:
        self._cursor = cursor
        self._command = command
        self._statements: dict[str, list[Any]] = {}

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._cursor, name)
        return (lambda *a, **k: self._call(found, *a, **k)) if callable(found) else found

    def execute(self, query: Any, *more: Any, **named: Any) -> Any:
        self._command.check()
        return self._call(self._cursor.execute, query, *more, **named)

    def commit(self) -> Any:
        self._command.check()
        return self._call(self._cursor.commit)

    def extract_statements(self, text: str) -> list[Any]:
        # They are looked over first, and run later.
        known = self._statements.get(text)
        if known is not None:
            return known
        statements: list[Any] = self._call(self._cursor.extract_statements, text)
        for statement in statements:
            if statement.type not in _PERMITTED or _is_about_secrets(statement.query):
                raise NeedsProcess(f"{statement.query.strip().splitlines()[0][:80]!r} is felt by all commands")
        if any(statement.type not in _LASTING for statement in statements):
            self._command.memory.expect_drops()
        self._statements[text] = statements
        return statements

    def _call(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        try:
            result = function(*arguments, **named)
        except duckdb.FatalException as error:
            raise _InstanceLost(str(error)) from error
        except duckdb.InterruptException as error:
            self._command.check()
            raise error
        return self if result is self._cursor else result


def _is_about_secrets(query: str) -> bool:
    words = {word.strip("();,").upper() for word in query.split()[:12]}
    return "SECRET" in words and bool(words & {"CREATE", "DROP"})


class Command:
    """A command, from its arrival until its end.

    Args:
        shared: what it shares with others.
        arguments, environ: as for :func:`starlake_core_duckdb.cli.main`.
        sink: receives its output.
    """

    def __init__(
        self, shared: Shared, arguments: Sequence[str], environ: Mapping[str, str], sink: Callable[[str], None]
    ) -> None:
        self._shared = shared
        self._arguments = arguments
        self._environ = environ
        self._sink = sink
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self.memory = Memory()
        self._cancelled = threading.Event()
        self._ended = threading.Event()

    def run(self) -> int:
        """Carry it out in this thread.

        Returns:
            The exit code; :data:`CANCELLED`, or :data:`ALONE`.
        """
        try:
            with routed(self._sink), surrounded(self), ExitStack() as held:
                key = self._environ.get("SL_RUN_KEY")
                if key:
                    # The second of two that do the same work finds it done.
                    held.enter_context(self._shared.hold((key, tuple(self._arguments)), self.check))
                return self._repeated()
        except _Cancelled:
            return CANCELLED
        except NeedsProcess:
            return ALONE
        finally:
            self._ended.set()

    def _repeated(self) -> int:
        for last in (*[False] * (_INSTANCES - 1), True):
            try:
                return cli.main(self._arguments, self._environ)
            except _InstanceLost as error:
                # What it had committed, the database knows by its run key.
                if last or not self._environ.get("SL_RUN_KEY"):
                    self._sink(f"ERROR DuckDB accepts nothing more for this database: {error}\n")
                    return 1
        raise AssertionError("never reached")

    def cancel(self) -> None:
        """Let it end soon."""
        if not self._cancelled.is_set():
            self._cancelled.set()
            threading.Thread(target=self._interrupt, name="starlake-cancel", daemon=True).start()

    def _interrupt(self) -> None:
        # An interrupt is forgotten if no statement runs at the moment.
        while not self._ended.wait(_AGAIN_SECONDS):
            cursor = self._cursor
            if cursor is not None:
                with suppress(duckdb.Error):
                    cursor.interrupt()

    # -- what it finds around it

    def check(self) -> None:
        """End the command if it is cancelled."""
        if self._cancelled.is_set():
            raise _Cancelled

    @contextmanager
    def connect(self, context: Context, path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of the shared instance, with the time zone of the command."""
        database = self._shared.database(path)
        try:
            instance, cursor = database.enter(self.check, context.storage_version, context.timezone)
        except duckdb.FatalException as error:
            raise _InstanceLost(str(error)) from error
        try:
            self._cursor, self.memory = cursor, instance.memory
            session = cast("duckdb.DuckDBPyConnection", _Session(cursor, self))
            if context.timezone != instance.timezone:
                session.execute("SET TimeZone = $zone", {"zone": context.timezone})
            yield session
        except _InstanceLost:
            database.retire(instance)
            raise
        finally:
            self._cursor = None
            database.leave(cursor)

    @contextmanager
    def hold(self, path: Path, names: Sequence[tuple[str, str]]) -> Iterator[None]:
        """Be the only writer of some tables."""
        wanted = sorted({(str(path), schema.lower(), table.lower()) for schema, table in names})
        with ExitStack() as held:
            for name in wanted:
                held.enter_context(self._shared.hold(name, self.check))
            yield
