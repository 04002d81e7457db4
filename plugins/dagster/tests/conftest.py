"""What Dagster prepares for each instance, each run and each event is made once in a process.

Nothing of Dagster is imported where it is not installed.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

QUIET: Any = {"telemetry": {"enabled": False}}
"""Dagster counts what is run, in the home of the user."""


_OF_DAGSTER = (
    "datetime.datetime.utcfromtimestamp:DeprecationWarning:dagster._core.storage.event_log.sql_event_log",
    "unclosed database in <sqlite3.Connection:ResourceWarning",
    "Exception ignored in. <sqlite3.Connection:pytest.PytestUnraisableExceptionWarning",
)
"""Warnings of Python 3.12 and 3.13 about Dagster."""


def pytest_configure(config: pytest.Config) -> None:
    for message in _OF_DAGSTER:
        config.addinivalue_line("filterwarnings", f"ignore:{message}")


@pytest.fixture(scope="session", autouse=True)
def prepared_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Read the migrations of Dagster once, and copy the empty databases of an instance and of a run.

    To make them takes longer than most runs. So it is with the statements of a database, which Dagster compiles for every
    event, because each has an engine of its own; here they are compiled once. Processes of their own, such as those of a
    server, do as they always do.
    """
    from alembic.script import ScriptDirectory
    from dagster import DagsterInstance
    from dagster._core.storage.event_log import SqliteEventLogStorage
    from dagster._core.storage.event_log.sqlite import sqlite_event_log
    from dagster._core.storage.runs.sqlite import sqlite_run_storage
    from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
    from sqlalchemy import Engine, create_engine, make_url
    from sqlalchemy.pool import NullPool

    read, local, make = ScriptDirectory.from_config, DagsterInstance.local_temp, SqliteEventLogStorage._initdb
    home, log = tmp_path_factory.mktemp("instance"), tmp_path_factory.mktemp("run") / "pristine.db"
    directories: dict[Any, Any] = {}

    first = create_engine("sqlite://")
    first.connect().close()
    compiled: dict[Any, Any] = {}

    @functools.lru_cache(maxsize=64)
    def engine_of(address: str) -> Any:
        url = make_url(address)

        def connect() -> Any:
            made = sqlite3.connect(str(url.database), timeout=60, check_same_thread=False)
            made.execute("PRAGMA synchronous = OFF")  # a test does not outlive its machine
            return made

        pool = NullPool(connect, dialect=first.dialect)
        return Engine(pool, first.dialect, url, execution_options={"compiled_cache": compiled})

    def from_config(config: Any) -> Any:
        location = config.get_main_option("script_location")
        if location not in directories:
            directories[location] = read(config)
        return directories[location]

    def local_temp(tempdir: str, overrides: Any = None) -> Any:
        if not any(Path(tempdir).iterdir()):
            shutil.copytree(home, tempdir, dirs_exist_ok=True)
        return local(tempdir, overrides={**QUIET, **(overrides or {})})

    def initdb(self: Any, engine: Any, *arguments: Any, **keywords: Any) -> None:
        file = Path(engine.url.database)
        if not file.exists():
            # In one step, because another process may look for it.
            new = shutil.copy(log, file.with_suffix(f".{os.getpid()}"))
            with contextlib.suppress(FileExistsError):
                os.link(new, file)
            os.unlink(new)
        make(self, engine, *arguments, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", from_config)
        for module in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
            patch.setattr(module, "create_engine", lambda address, **_: engine_of(address))
        with local(str(home), overrides=QUIET) as instance:
            with instance.event_log_storage.run_connection("pristine"):
                pass
            shutil.move(instance.event_log_storage.path_for_shard("pristine"), log)
        patch.setattr(DagsterInstance, "local_temp", local_temp)
        patch.setattr(SqliteEventLogStorage, "_initdb", initdb)
        yield
