"""The warm engine as the runner uses it: elected, shared, killed, and gone when nobody needs it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from engines import engines
from starlake_core_duckdb import plugin
from starlake_core_duckdb.engine import client, election, identity

from starlake_core import Job, RunKey
from starlake_core.processes import watchdog
from starlake_core.processes.following import Followed
from starlake_core.runtime import Outcome, Runner, Verdict, execute

if TYPE_CHECKING:
    from conftest import Sandbox

LONG = "SELECT sum((a.range * b.range) % 7 + c.range) AS n FROM range(1000000) a, range(1000000) b, range(1000000) c"


def until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Project:
    """A project, and a runner for its commands."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.root = sandbox.root
        self.runner: Runner = plugin.sl_create_runner(self.job("load"))
        self.lines: list[str] = []

    def transform(self, name: str, sql: str, strategy: str = "APPEND") -> None:
        self.sandbox.write(f"metadata/transform/kpi/{name}.sl.yml", f"task: {{writeStrategy: {{type: {strategy}}}}}")
        self.sandbox.write(f"metadata/transform/kpi/{name}.sql", sql)

    def job(self, *arguments: str, **env: str) -> Job:
        return Job("duckdb", arguments, {"SL_ROOT": str(self.root), **env}, {"include_env": [], "engine": "warm"})

    def run(self, name: str, task: str = "", attempt: str = "1", **more: Any) -> Outcome:
        options = ("--options", f"task={task or name}")
        job = self.job("transform", "--name", f"kpi.{name}", *options, **more.pop("env", {}))
        return execute(job, self.runner, RunKey(f"p/r/{task or name}", attempt), on_line=self.lines.append, **more)

    def begin(self, name: str, **more: Any) -> tuple[threading.Thread, list[Outcome]]:
        found: list[Outcome] = []
        thread = threading.Thread(target=lambda: found.append(self.run(name, **more)), daemon=True)
        thread.start()
        return thread, found

    def rest(self) -> None:
        self.runner.rest()


@pytest.fixture
def project(sandbox: Sandbox) -> Iterator[Project]:
    sandbox.write("metadata/application.sl.yml", "application: {}")
    found = Project(sandbox)
    yield found
    sandbox.kill()
    for engine in list(client._engines.values()):
        engine._hang_up()
    until(lambda: not engines(sandbox.root))


def test_commands_share_an_engine_and_the_database_is_free_when_the_run_rests(project: Project) -> None:
    project.transform("one", "SELECT 1 AS n")
    assert [project.run("one", f"t{number}").verdict for number in range(3)] == [Verdict.SUCCEEDED] * 3
    assert len(engines(project.root)) == 1
    project.rest()
    assert project.sandbox.query("SELECT count(*) FROM kpi.one") == [(3,)]
    assert "transformed kpi.one: 1 row(s) into kpi.one" in project.lines


def test_what_goes_wrong_ends_as_in_a_process(project: Project) -> None:
    project.transform("broken", "SELEC 1")
    project.transform("missing", "SELECT * FROM shop.nowhere")
    project.transform("tells", "SELECT error('{{KIT_DB_PASSWORD}}') AS n")
    broken = project.run("broken")
    assert (broken.verdict, broken.exit_code, broken.final) == (Verdict.FAILED, 78, True)
    missing = project.run("missing")
    assert (missing.verdict, missing.exit_code, missing.final) == (Verdict.FAILED, 1, False)
    assert "shop.nowhere" in missing.tail.replace('"', "") or "nowhere" in missing.tail
    tells = project.run("tells", env={"KIT_DB_PASSWORD": "correct-horse"})
    assert tells.exit_code == 1
    assert "correct-horse" not in tells.tail + "".join(project.lines)


def test_a_command_that_others_would_feel_gets_a_process(project: Project) -> None:
    project.transform("one", "SELECT 1 AS n")
    project.transform("set", "-- SL_PRESQL\nSET threads = 1\n-- SL_SQL\nSELECT current_setting('threads') AS n")
    assert project.run("one").verdict is Verdict.SUCCEEDED
    assert project.run("set").verdict is Verdict.SUCCEEDED
    project.transform("after", "SELECT current_setting('threads') AS n")
    assert project.run("after", env={}).verdict is Verdict.SUCCEEDED
    project.rest()
    assert project.sandbox.query("FROM kpi.set") == [(1,)]
    assert project.sandbox.query("SELECT count(*) FROM starlake_core.run_keys") == [(3,)]


def test_work_is_done_once_whoever_has_done_it(project: Project) -> None:
    """This engine, the one before, or a process, and if the engine has looked up other work of the run in between."""
    project.transform("one", "SELECT 1 AS n")
    project.transform("set", "-- SL_PRESQL\nSET threads = 1\n-- SL_SQL\nSELECT 1 AS n")
    for attempt, names in enumerate((("one",), ("one", "set"), ("set", "one"), ("one", "set"))):
        for name in names:
            assert project.run(name, attempt=str(attempt)).verdict is Verdict.SUCCEEDED
        if attempt == 2:
            project.rest()
    project.rest()
    assert project.sandbox.query("SELECT count(*) FROM kpi.one, kpi.set") == [(1,)]
    assert project.lines.count("already done under this run key") == 5
    assert project.run("one", "t2").verdict is Verdict.SUCCEEDED
    project.rest()
    assert project.sandbox.query("SELECT count(*) FROM kpi.one") == [(2,)]


def test_each_command_has_its_time_zone(project: Project) -> None:
    project.transform("zone", "SELECT current_setting('TimeZone') AS name")
    assert "localtime" in project.run("zone", "unknown", env={"SL_TIMEZONE": "localtime"}).tail
    zones = ["Asia/Tokyo", "Europe/Paris", "Asia/Tokyo", ""]
    for number, zone in enumerate(zones):
        assert project.run("zone", f"t{number}", env={"SL_TIMEZONE": zone}).verdict is Verdict.SUCCEEDED
    assert len(engines(project.root)) == 1
    project.rest()
    found = project.sandbox.query("SELECT name FROM kpi.zone ORDER BY rowid")
    assert [name for (name,) in found] == [*zones[:3], "UTC"]


def test_a_schema_that_a_command_drops_is_made_again(project: Project) -> None:
    project.transform("one", "SELECT 1 AS n")
    project.transform("drop", "DROP SCHEMA kpi CASCADE")
    project.sandbox.write("metadata/transform/kpi/drop.sl.yml", "task: {parseSQL: false}")
    for number, name in enumerate(("one", "drop", "one")):
        assert project.run(name, f"t{number}").verdict is Verdict.SUCCEEDED
    project.rest()
    assert project.sandbox.query("FROM kpi.one") == [(1,)]


def test_a_look_at_a_command_that_is_about_to_get_a_process_does_not_end_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that has not started yet is not one that has died."""
    project.transform("set", "-- SL_PRESQL\nSET threads = 1\n-- SL_SQL\nSELECT 1 AS n")
    start, seen = threading.Thread.start, []

    def looking(thread: threading.Thread) -> None:
        command = getattr(getattr(thread, "_target", None), "__self__", None)
        if isinstance(command, Followed) and command.process is None:
            seen.append(command.look())
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", looking)
    assert project.run("set").verdict is Verdict.SUCCEEDED
    assert seen
    assert set(seen) == {None}


def test_a_killed_engine_is_replaced_at_once(project: Project) -> None:
    project.transform(
        "slow", "SELECT count(*) AS n FROM range(300000) a, range(1000) b WHERE (a.range * b.range) % 7 = 3"
    )
    project.transform("one", "SELECT 1 AS n")
    assert project.run("one").verdict is Verdict.SUCCEEDED
    thread, found = project.begin("slow")
    os.kill(engines(project.root)[0], signal.SIGKILL)
    thread.join(120)
    assert found[0].verdict is Verdict.SUCCEEDED
    project.rest()
    assert project.sandbox.query("SELECT count(*) FROM kpi.slow") == [(1,)]


def test_a_command_that_kills_engines_gets_a_process_at_last(project: Project) -> None:
    project.transform("long", LONG)
    thread, found = project.begin("long", timeout=60)
    handle = RunKey("p/r/long", "1").name

    def has_process() -> bool:
        detail = project.runner.poll([handle])[handle].detail
        for engine in engines(project.root) if detail == "in the engine" else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(engine, signal.SIGKILL)
        return "pid" in detail

    until(has_process)
    project.runner.cancel(handle)
    thread.join(60)
    assert found[0].verdict is Verdict.CANCELLED


def test_a_time_out_ends_one_command_only(project: Project) -> None:
    project.transform("long", LONG)
    project.transform("one", "SELECT 1 AS n")
    thread, found = project.begin("long", timeout=1)
    assert project.run("one").verdict is Verdict.SUCCEEDED
    thread.join(60)
    assert "time-out" in found[0].reason
    assert len(engines(project.root)) == 1, "the engine lives"


def test_an_engine_that_does_not_end_a_cancelled_command_is_killed_without_harm_to_others(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.transform("long", LONG)
    project.transform("one", "SELECT 1 AS n")
    assert project.run("one").verdict is Verdict.SUCCEEDED
    (engine,) = engines(project.root)
    thread, found = project.begin("long")
    handle = RunKey("p/r/long", "1").name
    until(lambda: project.runner.poll([handle])[handle].detail == "in the engine")
    monkeypatch.setattr(client, "_STUBBORN_SECONDS", 0.2)
    os.kill(engine, signal.SIGSTOP)
    neighbour, others = project.begin("one", task="again")
    project.runner.cancel(handle)
    thread.join(60)
    neighbour.join(60)
    assert (found[0].verdict, others[0].verdict) == (Verdict.CANCELLED, Verdict.SUCCEEDED)
    assert engine not in engines(project.root)
    project.rest()
    assert project.sandbox.query("SELECT count(*) FROM kpi.one") == [(2,)]


RUN = (
    f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})"
    + """
from test_duckdb_warm import Project
from conftest import Sandbox
from pathlib import Path
project = Project(Sandbox(Path(sys.argv[1]), None))
print("ready", flush=True)
for word in sys.argv[2:]:
    name, task = word.split(":")
    print(f"p/r/{task} {project.run(name, task).verdict.name}", flush=True)
project.rest()
"""
)


def test_an_engine_outlives_the_run_that_started_it_and_ends_with_the_last(project: Project) -> None:
    project.transform("long", LONG)
    project.transform("one", "SELECT 1 AS n")
    first = project.sandbox.python("-c", RUN, str(project.root), "long:x")
    until(lambda: engines(project.root))
    second = project.sandbox.python("-c", RUN, str(project.root), "one:y", "long:z")
    until(lambda: (project.root / "datasets" / "duckdb.db").exists())
    first.kill()
    first.communicate()
    assert second.stdout is not None
    assert second.stdout.readline() == "ready\n"
    assert second.stdout.readline() == "p/r/y SUCCEEDED\n"
    assert len(engines(project.root)) == 1
    second.kill()
    second.communicate()
    until(lambda: not engines(project.root))


def test_a_killed_run_leaves_nothing_behind(project: Project) -> None:
    project.transform("long", LONG)
    run = project.sandbox.python("-c", RUN, str(project.root), "long:x")
    until(lambda: engines(project.root))
    run.kill()
    run.communicate()
    until(lambda: not engines(project.root))
    assert not [path for path in Path(identity._folder()).iterdir() if _mentions(path, project.root)]


def _mentions(path: Path, root: Path) -> bool:
    return path.suffix == ".log" and str(root) in path.read_text()


def test_the_watchdog_kills_an_engine_that_does_not_respond(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.transform("one", "SELECT 1 AS n")
    assert project.run("one").verdict is Verdict.SUCCEEDED
    (engine,) = engines(project.root)
    (path,) = (path for path, found in client._engines.items() if not found.gone and Path(f"{path}.lock").exists())
    watchdog.end_helper(path)
    assert engines(project.root) == [engine], "it responds"
    monkeypatch.setattr(watchdog, "_HELPER_SECONDS", 0.2)
    os.kill(engine, signal.SIGSTOP)
    watchdog.end_helper(path)
    until(lambda: not engines(project.root))
    assert project.run("one", "again").verdict is Verdict.SUCCEEDED


def test_two_runs_at_once_share_an_engine(project: Project) -> None:
    for name in ("a", "b"):
        project.transform(name, "SELECT 1 AS n")
    words = [[f"{name}:{name}{number}" for number in range(10)] for name in ("a", "b")]
    runs = [project.sandbox.python("-c", RUN, str(project.root), *chosen) for chosen in words]
    results = [project.sandbox.finish(run) for run in runs]
    assert [result.out.count("SUCCEEDED") for result in results] == [10, 10], results
    assert project.sandbox.query("SELECT (SELECT count(*) FROM kpi.a), (SELECT count(*) FROM kpi.b)") == [(10, 10)]


PIPELINE = """
from starlake_core import Orchestration
with Orchestration(orchestrator="local", environment="duckdb") as orchestration:
    with orchestration.sl_create_pipeline(name={name!r}) as pipeline:
        for number in range(6):
            pipeline.sl_transform(f"t{{number}}", "kpi.{name}")
"""


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.soak)])
def test_command_lines_at_once_on_one_project(project: Project, rounds: int) -> None:
    """Two runs, and one command by hand, which waits for its turn."""
    for name in "abc":
        project.transform(name, "SELECT 1 AS n")
        (project.root / f"{name}.py").write_text(PIPELINE.format(name=name))
    for number in range(1, rounds + 1):
        runs = [project.sandbox.python("-m", "starlake_core", "run", str(project.root / f"{name}.py")) for name in "ab"]
        runs.append(project.sandbox.process("transform", "--name", "kpi.c"))
        results = [project.sandbox.finish(run) for run in runs]
        assert [result.code for result in results] == [0, 0, 0], results
        counts = project.sandbox.query(
            "SELECT (SELECT count(*) FROM kpi.a), (SELECT count(*) FROM kpi.b), (SELECT count(*) FROM kpi.c)"
        )
        assert counts == [(6 * number, 6 * number, number)]
    until(lambda: not engines(project.root))


@pytest.mark.parametrize(
    ("commands", "clients", "kills"), [(16, 2, 2), pytest.param(2000, 4, 60, marks=pytest.mark.soak)]
)
def test_random_commands_with_random_kills_are_each_done_once(
    project: Project, commands: int, clients: int, kills: int
) -> None:
    """Of the engine, of a run, or of both; the tables are those of a run of one command after the other."""
    seed = random.SystemRandom().randrange(1_000_000)
    rng = random.Random(seed)
    for name in "abc":
        project.transform(name, "SELECT '{{task}}' AS task")
    work = [
        [f"{rng.choice('abc')}:{client}-{number}" for number in range(commands // clients)] for client in range(clients)
    ]
    done: list[set[str]] = [set() for _ in work]
    for number in range(kills + 1):
        runs = []
        for words, finished in zip(work, done, strict=True):
            left = [word for word in words if word.partition(":")[2] not in finished]
            runs.append(project.sandbox.python("-c", RUN, str(project.root), *left))
        if number < kills:
            time.sleep(rng.uniform(0.5, 2.5))
            for engine in engines(project.root) if rng.random() < 0.7 else ():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(engine, signal.SIGKILL)
            for run in runs:
                if rng.random() < 0.7:
                    run.kill()
        for run, finished in zip(runs, done, strict=True):
            out, err = run.communicate(timeout=1200)
            assert number < kills or run.returncode == 0, f"seed {seed}: {out}{err}"
            finished |= {
                line.split()[0].removeprefix("p/r/") for line in out.splitlines() if line.endswith(" SUCCEEDED")
            }
            assert "FAILED" not in out, f"seed {seed}: {out}"
    until(lambda: not engines(project.root))
    for name in "abc":
        expected = sorted(word.partition(":")[2] for words in work for word in words if word.startswith(name))
        if expected:
            found = project.sandbox.query(f"SELECT task FROM kpi.{name} ORDER BY task")
            assert [row[0] for row in found] == expected, f"seed {seed}"


def test_who_shares_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = tmp_path / "x.db"
    usual = identity.engine_path(str(tmp_path), database, {"SL_ROOT": "a", "HOME": "/h"})
    assert usual is not None
    assert len(usual) < 100
    assert identity.engine_path(str(tmp_path), database, {"SL_ROOT": "b", "DB_PASSWORD": "x", "HOME": "/h"}) == usual
    assert identity.engine_path(str(tmp_path), database, {"HOME": "/other"}) != usual
    assert identity.engine_path(str(tmp_path), tmp_path / "y.db", {"HOME": "/h"}) != usual
    folder = os.stat(os.path.dirname(usual))
    assert (folder.st_mode & 0o777, folder.st_uid) == (0o700, os.getuid())
    monkeypatch.setattr(identity, "_network", lambda path: "nfs")
    assert identity.engine_path(str(tmp_path), database, {}) is None


@pytest.mark.parametrize("trouble", ["no program", "no sockets"])
def test_where_no_engine_can_be_started_commands_are_processes_and_that_is_said_once(
    project: Project, trouble: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    project.transform("one", "SELECT 1 AS n")
    monkeypatch.setattr(identity, "_told", set())
    tried: list[str] = []
    if trouble == "no sockets":
        monkeypatch.delattr(identity.socket, "AF_UNIX")
    else:
        monkeypatch.setattr(client, "_refused", {})
        monkeypatch.setattr(
            election, "python_module", lambda name: tried.append(name) or (sys.executable, "-c", "raise SystemExit(3)")
        )
    assert [project.run("one", f"t{number}").verdict for number in range(2)] == [Verdict.SUCCEEDED] * 2
    assert len(tried) == (trouble == "no program"), "every command tries it again"
    (said,) = (message for message in caplog.messages if "commands run as processes of their own" in message)
    assert ("no Unix sockets" if trouble == "no sockets" else "exit code 3") in said
    assert project.sandbox.query("SELECT count(*) FROM kpi.one") == [(2,)]
