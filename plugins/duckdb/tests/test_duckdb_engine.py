"""The warm engine inside: many commands on one instance of DuckDB, each as if it were alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from starlake_core_duckdb import database as database_module
from starlake_core_duckdb import surroundings
from starlake_core_duckdb.engine import databases
from starlake_core_duckdb.engine.commands import ALONE, CANCELLED, Command, Shared

from conftest import environment

if TYPE_CHECKING:
    from conftest import Sandbox

LONG = "SELECT sum((a.range * b.range) % 7 + c.range) AS n FROM range(1000000) a, range(1000000) b, range(1000000) c"


class Engine:
    """An engine in this process."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.shared = Shared()
        self.told: list[str] = []
        self._over = threading.Event()
        self._tidy = threading.Thread(target=self._tidies)
        self._tidy.start()

    def _tidies(self) -> None:
        while not self._over.wait(0.01):
            self.shared.tidy()

    def command(self, *arguments: str, **environ: str) -> Command:
        return Command(self.shared, arguments, environment(self.sandbox.root, environ), self.told.append)

    def run(self, *arguments: str, **environ: str) -> int:
        return self.command(*arguments, **environ).run()

    def at_once(self, *commands: Command) -> list[int]:
        with ThreadPoolExecutor(len(commands)) as pool:
            return list(pool.map(Command.run, commands))

    def close(self) -> None:
        self._over.set()
        self._tidy.join()
        while not self.shared.tidy(at_once=True):
            pass

    def rest(self) -> None:
        assert self.shared.tidy(at_once=True)


@pytest.fixture
def engine(sandbox: Sandbox) -> Iterator[Engine]:
    found = Engine(sandbox)
    yield found
    found.close()


def until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def transform(sandbox: Sandbox, name: str, sql: str, strategy: str = "OVERWRITE") -> tuple[str, ...]:
    sandbox.write(f"metadata/transform/kpi/{name}.sl.yml", f"task: {{writeStrategy: {{type: {strategy}}}}}")
    sandbox.write(f"metadata/transform/kpi/{name}.sql", sql)
    return ("transform", "--name", f"kpi.{name}")


def failures(sandbox: Sandbox) -> list[Any]:
    return sandbox.query("SELECT message FROM starlake_core.log WHERE NOT success")


def test_loads_and_transforms_at_once(sandbox: Sandbox, engine: Engine) -> None:
    commands = []
    for number in range(4):
        sandbox.table(f"t{number}", f"table: {{pattern: 't{number}_.*', attributes: [{{name: id, type: int}}]}}")
        sandbox.staged(f"t{number}_1.csv", "id\n" + "".join(f"{row}\n" for row in range(100)))
        commands.append(engine.command("load", "--domains", "shop", "--tables", f"t{number}", SL_RUN_KEY=f"l{number}"))
        commands.append(
            engine.command(*transform(sandbox, f"k{number}", f"SELECT {number} AS n"), SL_RUN_KEY=f"k{number}")
        )
    assert engine.at_once(*commands) == [0] * 8, engine.told
    engine.rest()
    for number in range(4):
        assert sandbox.query(f"SELECT count(*), count(DISTINCT id) FROM shop.t{number}") == [(100, 100)]
        assert sandbox.query(f"FROM kpi.k{number}") == [(number,)]
    assert failures(sandbox) == []


def test_the_same_work_at_once_is_done_once(sandbox: Sandbox, engine: Engine) -> None:
    notes = transform(sandbox, "notes", "SELECT 1 AS n", "APPEND")
    assert engine.at_once(*[engine.command(*notes, SL_RUN_KEY="k") for _ in range(5)]) == [0] * 5
    engine.rest()
    assert sandbox.query("FROM kpi.notes") == [(1,)]


@pytest.mark.parametrize("strategy", ["OVERWRITE", "APPEND"])
def test_one_table_has_one_writer_at_a_time(sandbox: Sandbox, engine: Engine, strategy: str) -> None:
    notes = transform(sandbox, "notes", "SELECT 1 AS n", strategy)
    codes = engine.at_once(*[engine.command(*notes, SL_RUN_KEY=f"k{number}") for number in range(12)])
    assert codes == [0] * 12, engine.told
    engine.rest()
    assert sandbox.query("SELECT count(*) FROM kpi.notes") == [(12 if strategy == "APPEND" else 1,)]
    assert failures(sandbox) == []


def test_what_two_commands_write_beside_their_tables_is_tried_again(sandbox: Sandbox, engine: Engine) -> None:
    """Nobody can know the tables that presql writes, so these transactions may exclude each other."""
    names = [f"n{number}" for number in range(6)]
    for name in names:
        transform(
            sandbox,
            name,
            f"-- SL_PRESQL\nCREATE OR REPLACE TABLE kpi.common AS SELECT 1 AS n\n-- SL_SQL\nSELECT 1 AS {name}",
        )
    codes = engine.at_once(*[engine.command("transform", "--name", f"kpi.{name}", SL_RUN_KEY=name) for name in names])
    engine.rest()
    assert codes == [0] * 6, engine.told
    assert failures(sandbox) == []


@pytest.mark.parametrize(
    ("message", "tries"), [("Catalog write-write conflict", 9), ("Conflict on update!", 9), ("duplicate key", 6)]
)
def test_transactions_that_exclude_each_other_wait_longer_than_those_that_fail(
    message: str, tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings, "_PAUSES", (0.0,) * 5)
    monkeypatch.setattr(surroundings, "_LONGER", (0.0,) * 5)
    errors = [duckdb.TransactionException(f"TransactionContext Error: {message}") for _ in range(8)]
    calls = []

    def once() -> str:
        calls.append(1)
        if errors:
            raise errors.pop()
        return "done"

    here: Any = SimpleNamespace(check=lambda: None)
    with surroundings.surrounded(here):
        if tries == 9:
            assert surroundings.retried(once, lambda: False) == "done"
        else:
            with pytest.raises(duckdb.TransactionException, match=message):
                surroundings.retried(once, lambda: False)
    assert len(calls) == tries


def test_one_command_is_cancelled_and_its_neighbours_are_not(sandbox: Sandbox, engine: Engine) -> None:
    command = engine.command(*transform(sandbox, "long", LONG), SL_RUN_KEY="long")
    quick = transform(sandbox, "quick", "SELECT 1 AS n", "APPEND")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(command.run)
        until(lambda: command._cursor is not None)
        assert engine.run(*quick, SL_RUN_KEY="1") == 0
        command.cancel()
        assert engine.run(*quick, SL_RUN_KEY="2") == 0
        assert running.result(30) == CANCELLED
    assert engine.run(*quick, SL_RUN_KEY="3") == 0
    engine.rest()
    assert sandbox.query("SELECT count(*) FROM kpi.quick") == [(3,)]
    assert failures(sandbox) == [], "a command that is cancelled has not failed"


def test_a_command_that_waits_can_be_cancelled(sandbox: Sandbox, engine: Engine) -> None:
    notes = transform(sandbox, "notes", LONG)
    first, second = (engine.command(*notes, SL_RUN_KEY="k") for _ in range(2))
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(first.run)
        until(lambda: first._cursor is not None)
        waiting = pool.submit(second.run)
        second.cancel()
        assert waiting.result(30) == CANCELLED
        assert not running.done()
        first.cancel()
        assert running.result(30) == CANCELLED


@pytest.mark.parametrize(
    "statement",
    [
        "SET threads = 1",
        "PRAGMA threads = 1",
        "ATTACH ':memory:' AS other",
        "LOAD json",
        "CREATE SECRET s (TYPE s3)",
        "RESET threads",
    ],
)
def test_what_all_commands_would_feel_is_not_done_here(sandbox: Sandbox, engine: Engine, statement: str) -> None:
    transform(
        sandbox, "set", f"-- SL_PRESQL\nCREATE TABLE kpi.first AS SELECT 1 AS n;\n{statement}\n-- SL_SQL\nSELECT 1 AS n"
    )
    assert engine.run("transform", "--name", "kpi.set", SL_RUN_KEY="k") == ALONE
    engine.rest()
    assert sandbox.query("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'kpi'") == [], "nothing is done"
    assert failures(sandbox) == []


def test_settings_of_one_command_are_not_those_of_another(sandbox: Sandbox, engine: Engine) -> None:
    zone = transform(sandbox, "zone", "SELECT current_setting('TimeZone') AS zone", "APPEND")
    names = ["UTC", "Europe/Paris", "Asia/Tokyo"]
    assert engine.at_once(*[engine.command(*zone, SL_TIMEZONE=name) for name in names]) == [0] * 3
    engine.rest()
    assert sandbox.query("SELECT zone FROM kpi.zone ORDER BY 1") == [(name,) for name in sorted(names)]


def test_a_process_gets_its_turn_while_the_engine_works(sandbox: Sandbox, engine: Engine) -> None:
    notes = transform(sandbox, "notes", "SELECT 1 AS n", "APPEND")
    other = transform(sandbox, "other", "SELECT 1 AS n")
    process = sandbox.process(*other)
    number = 0
    while process.poll() is None:
        number += 1
        assert engine.run(*notes, SL_RUN_KEY=f"k{number}") == 0
    assert sandbox.finish(process).code == 0
    engine.rest()
    assert sandbox.query("SELECT count(*) FROM kpi.notes") == [(number,)]


def test_a_database_that_nobody_uses_is_free_for_others(sandbox: Sandbox, engine: Engine) -> None:
    assert engine.run(*transform(sandbox, "one", "SELECT 1 AS n")) == 0
    until(lambda: engine.shared.tidy())
    assert sandbox.query("FROM kpi.one") == [(1,)]


def test_how_long_a_database_stays_open_depends_on_the_pauses_between_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(databases, "time", SimpleNamespace(monotonic=lambda: now, sleep=time.sleep))
    database = databases.Database(tmp_path / "x.db")

    def command(after: float) -> bool:
        """Run a command after a pause, and say whether the database was open until then."""
        nonlocal now
        now += after
        still_open = not database.tidy()
        _, cursor = database.enter(lambda: None, "v1.2.0", "UTC")
        database.leave(cursor)
        return still_open

    assert [command(after) for after in (0, 0.2, 0.5, 0.5, 0.9, 0.9, 1.7)] == [
        False,
        True,
        False,
        True,
        True,
        True,
        True,
    ]
    assert [command(after) for after in (5, 0.5)] == [False, False], "who comes seldom keeps nothing open"
    assert database.tidy(at_once=True)


def test_a_reader_is_waited_for(sandbox: Sandbox, engine: Engine) -> None:
    one = transform(sandbox, "one", "SELECT 1 AS n")
    assert engine.run(*one) == 0
    engine.rest()
    program = "import duckdb, sys; kept = duckdb.connect(sys.argv[1], read_only=True); print('open', flush=True); sys.stdin.read(1)"
    reader = sandbox.python("-c", program, str(sandbox.root / "datasets" / "duckdb.db"))
    assert reader.stdout is not None
    assert reader.stdout.readline() == "open\n"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(engine.run, *one)
        reader.kill()
        reader.communicate()
        assert running.result(30) == 0


class _Failing:
    """An instance whose disk fails once, at a commit."""

    def __init__(self, real: Any, faults: list[str], lost: threading.Event) -> None:
        self._real, self._faults, self._lost = real, faults, lost

    def cursor(self) -> _Failing:
        return _Failing(self._real.cursor(), self._faults, self._lost)

    def commit(self) -> Any:
        if self._faults and not self._lost.is_set():
            if self._faults.pop() == "after":
                self._real.commit()
            self._lost.set()
        return self._checked(self._real.commit)

    def execute(self, *arguments: Any) -> Any:
        return self._checked(self._real.execute, *arguments)

    def _checked(self, function: Any, *arguments: Any) -> Any:
        if self._lost.is_set():
            raise duckdb.FatalException("FATAL Error: database has been invalidated")
        return function(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_instance_that_is_broken_is_opened_again(
    sandbox: Sandbox, engine: Engine, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    notes = transform(sandbox, "notes", "SELECT 1 AS n", "APPEND")
    assert engine.run(*notes) == 0
    engine.rest()
    faults = [when]
    real = database_module._open
    monkeypatch.setattr(database_module, "_open", lambda *a, **k: _Failing(real(*a, **k), faults, threading.Event()))
    names = [transform(sandbox, f"n{number}", "SELECT 1 AS n", "APPEND") for number in range(4)]
    codes = engine.at_once(*[engine.command(*name, SL_RUN_KEY="k") for name in names])
    engine.rest()
    assert (codes, faults) == ([0] * 4, []), engine.told
    for number in range(4):
        assert sandbox.query(f"SELECT count(*) FROM kpi.n{number}") == [(1,)]
    assert failures(sandbox) == []
