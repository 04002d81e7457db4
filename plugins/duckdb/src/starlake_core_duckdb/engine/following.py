"""Follows one command of a run in the warm engine, or in a process of its own where that is right."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlake_core.errors import OutageError, StarlakeError
from starlake_core.processes.following import Followed, Start
from starlake_core.processes.supervisor import guard
from starlake_core.processes.watchdog import ATTEMPT_VARIABLE, GUARD_VARIABLE

from .client import Engine, engine
from .identity import engine_path, refuse

__all__ = ["Warm"]

_ALONE = 256
_ENGINES = 2
"""How many engines may die with a command before it gets a process of its own: it may be the one that kills them."""
_OF_THE_ATTEMPT = (GUARD_VARIABLE, ATTEMPT_VARIABLE)
_OF_THE_ENGINE = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "TZ",
    "LANG",
    "LANGUAGE",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
)


_databases: dict[object, Path] = {}
_MOST = 1024


def _database(folder: str, environ: Mapping[str, str]) -> Path | None:
    """The database that names the engine; None if the project cannot be read, which the process of the command then reports.

    Commands may write others, too: an engine that has a database open holds its lock. So it is enough to ask once.
    """
    settings = (
        folder,
        *sorted(item for item in environ.items() if item[0].startswith("SL_") and "SL_RUN_" not in item[0]),
    )
    known = _databases.get(settings)
    if known is None:
        from ..context import open_project
        from ..places import usual_database

        try:
            project, _ = open_project("transform", {}, environ, warn=False)
            known = usual_database(project, environ.get("SL_DUCKDB_PATH") or None)
        except StarlakeError:
            return None
        if len(_databases) >= _MOST:
            _databases.clear()
        _databases[settings] = known
    return known


@dataclass(eq=False)
class Warm(Followed):
    """A command that the warm engine carries out."""

    _engine: Engine | None = None
    _name: str = ""
    _tries: int = 0
    _start: Start | None = None

    def start(self, start: Start) -> None:
        """Send the command to the engine, or start its process.

        Raises:
            RunnerError, OutageError: as for a process.
        """
        self._start = start
        if start.inherited or start.folder is None or not self._sent():
            super().start(start)

    def _sent(self) -> bool:
        """Send the command; return whether an engine has it."""
        start = self._start
        assert start is not None
        assert start.folder is not None
        environ = {name: value for name, value in start.env.items() if name not in _OF_THE_ATTEMPT}
        own = {name: value for name, value in environ.items() if name in _OF_THE_ENGINE or name.startswith("LC_")}
        database = _database(start.folder, environ)
        path = None if database is None else engine_path(start.folder, database, environ)
        while path is not None and self._tries < _ENGINES:
            try:
                guard.start()
                found = engine(path, start.folder, own)
            except (OutageError, OSError, RuntimeError, MemoryError) as error:  # a process may still be possible
                refuse(f"there is no engine: {error}")
                return False
            self._engine = found
            name = found.submit(self, self.job.arguments, environ)
            if name is not None:
                self._name = name
                if self.stopping:
                    found.cancel(name)
                return True
        return False

    def cancel(self) -> None:
        """Cancel the command; its neighbours are not affected."""
        super().cancel()
        if self._engine is not None and self._name:
            self._engine.cancel(self._name)

    @property
    def detail(self) -> str:
        """Where it runs, as a message."""
        return super().detail if self.process is not None or self._engine is None else "in the engine"

    # -- called by the thread that reads from the engine

    def heard(self, text: str) -> None:
        """The command wrote this."""
        self._feed(text)

    def ended(self, code: int) -> None:
        """The command ended, or wants a process of its own."""
        if code == _ALONE:
            self._elsewhere(alone=True)
            return
        self._feed_end()
        self._tell(self._judged(code))

    def lost(self) -> None:
        """The engine is gone. What the command has committed, the database knows by its run key, so it is sent again."""
        self._tries += 1
        self._feed_end()
        if self.stopping:
            self._tell(self._judged(-9))
            return
        self._keep(["[the engine has ended; the command is sent again]"])
        self._elsewhere(alone=False)

    def _elsewhere(self, alone: bool) -> None:
        # In a thread of its own, because an engine or a process has to be started.
        threading.Thread(target=self._again, args=(alone,), name=f"starlake-{self.key.task}", daemon=True).start()

    def _again(self, alone: bool) -> None:
        self._name = ""
        try:
            if not alone and self._sent():
                return
            self._engine = None
            assert self._start is not None
            super().start(self._start)
        except BaseException as error:
            if self.outcome is None:
                self._tell(self._failed(f"it could not be started again: {error}"))
