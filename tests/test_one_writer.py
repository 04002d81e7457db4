"""One user at a time: the lock of a resource, and the local orchestrator on a database that takes one writer."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from one_writer import OneWriter

from starlake_core import Job, Orchestration, RunKey, StarlakePipeline, TaskEvent, TaskState
from starlake_core.orchestrators.requests import request_run
from starlake_core.processes import exclusive as module
from starlake_core.processes.runner import ProcessRunner
from starlake_core.runtime import Verdict, execute, inherited, occupy, pool_of, resource_of
from starlake_core.testing import FakeEnvironment

PATIENCE = 60.0
FILE = """
from starlake_core import Orchestration, StarlakeDomain, StarlakeSchedule

TABLES = {tables!r}
with Orchestration(options={options!r}) as orchestration:
    with orchestration.sl_create_pipeline(name={name!r}, cron="0 0 * * *") as pipeline:
        for table in TABLES:
            pipeline.sl_load(domain="shop", table=table) >> pipeline.sl_transform(table, f"kpi.{{table}}")
"""


def until(true: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < deadline, f"this never happened: {what}"
        time.sleep(0.01)
    return found


def key(name: str, attempt: str = "1") -> RunKey:
    return RunKey(name, attempt)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for locks of resources that are not files."""
    folder = tmp_path / "home" / ".starlake-core"
    monkeypatch.setattr(module, "_home", lambda: str(folder))
    return folder


# -- the job


def test_a_job_names_its_resource_in_json_in_words_and_when_it_is_compared() -> None:
    job = Job("shell", ("load",), exclusive="warehouse")
    assert Job.from_json(job.to_json()) == job
    assert job != Job("shell", ("load",))
    assert "exclusive='warehouse'" in repr(job)
    assert Job.from_json('{"environment":"shell","arguments":["load"]}').exclusive == ""
    assert "exclusive" not in Job("shell").to_json(), "a job without one is what it was"
    assert job.masked().exclusive == "warehouse"


def test_a_resource_may_be_named_by_what_only_the_run_knows() -> None:
    environment = FakeEnvironment()
    with (
        Orchestration(
            {}, orchestrator="local", environment=environment, filename="t.py", namespace={}
        ) as orchestration,
        orchestration.sl_create_pipeline(name="t", cron="0 0 * * *") as pipeline,
    ):
        pipeline.sl_transform("x", "kpi.x")
    bound = Job("fake", exclusive="day-${sl_ds}").bind(request_run(pipeline, run_id="r").run.attempt("x"))
    assert bound.exclusive.startswith("day-2")


@pytest.mark.parametrize(
    ("command", "given", "wanted"),
    [
        ("load", None, "auto"),
        ("transform", None, "auto"),
        ("load", "none", ""),
        ("transform", "warehouse", "warehouse"),
        ("stage", "warehouse", ""),
        ("preload", None, ""),
    ],
)
def test_the_shell_names_a_resource_for_what_writes(command: str, given: str | None, wanted: str) -> None:
    options = {"pre_load_strategy": "imported", **({} if given is None else {"exclusive": given})}
    with (
        Orchestration(
            options, orchestrator="local", environment="shell", filename="t.py", namespace={}
        ) as orchestration,
        orchestration.sl_create_pipeline(name="t", cron="0 0 * * *") as pipeline,
    ):
        task = {
            "load": lambda: pipeline.sl_load(domain="shop", table="orders"),
            "transform": lambda: pipeline.sl_transform("x", "kpi.x"),
            "stage": lambda: pipeline.sl_import(domain="shop", tables=["orders"]),
            "preload": lambda: pipeline.sl_pre_load("shop", ["orders"], "imported"),
        }[command]()
    assert task is not None
    assert task.job is not None
    assert task.job.arguments[0] == command
    assert task.job.exclusive == wanted


def test_what_the_project_says_is_asked_in_the_worker(tmp_path: Path) -> None:
    place = OneWriter(tmp_path)
    env = {"SL_ROOT": str(tmp_path)}
    load = Job("shell", ("load", "--domains", "shop", "--tables", "orders"), env, exclusive="auto")
    assert resource_of(load) == f"duckdb:{place.database}"
    assert resource_of(Job("shell", ("transform", "--name", "kpi.orders"), env, exclusive="auto")) == resource_of(load)
    assert resource_of(Job("shell", load.arguments, env)) == ""
    assert resource_of(Job("far", load.arguments, env, endpoint="eu", exclusive="auto")) == ""
    assert resource_of(Job("far", load.arguments, env, endpoint="eu", exclusive="warehouse")) == "warehouse"
    (tmp_path / "metadata" / "application.sl.yml").write_text(
        "application: { connectionRef: w, connections: { w: { type: jdbc, options: { url: 'jdbc:postgresql://h/d' } } } }"
    )
    assert resource_of(load) == ""


@pytest.mark.parametrize(
    ("resource", "pool"),
    [
        ("duckdb:/data/shop.db", "starlake_duckdb_shop_db"),
        ("sqlite:/a b/c-d.sqlite", "starlake_sqlite_c_d_sqlite"),
        ("warehouse", "starlake_warehouse"),
        ("the warehouse: north/1", "starlake_the_warehouse_north_1"),
    ],
)
def test_a_pool_has_no_path_of_the_machine_in_its_name(resource: str, pool: str) -> None:
    assert pool_of(resource) == pool


# -- the lock


def test_one_has_it_and_others_are_told_who(home: Path) -> None:
    lease = occupy("warehouse", key("p/r/a"))
    assert lease is not None
    told: list[str] = []
    assert occupy("warehouse", key("p/r/b"), wait=False, on_wait=told.append) is None
    assert told == [f"waiting for warehouse, used by p/r/a (pid {os.getpid()})"]
    other = occupy("another", key("p/r/b"), wait=False)
    assert other is not None
    other.release()
    lease.release()
    lease.release()
    again = occupy("warehouse", key("p/r/b"), wait=False)
    assert again is not None
    again.release()


def test_who_waits_is_next(home: Path) -> None:
    lease = occupy("warehouse", key("p/r/a"))
    assert lease is not None
    waits, taken = threading.Event(), []

    def wait() -> None:
        taken.append(occupy("warehouse", key("p/r/b"), on_wait=lambda line: waits.set()))

    thread = threading.Thread(target=wait)
    thread.start()
    assert waits.wait(PATIENCE)
    lease.release()
    # A caller that does not wait cannot overtake.
    first = occupy("warehouse", key("p/r/c"), wait=False)
    thread.join(PATIENCE)
    assert first is None
    taken[0].release()


def test_a_wait_can_be_given_up(home: Path) -> None:
    lease = occupy("warehouse", key("p/r/a"))
    assert lease is not None
    runner = ProcessRunner(lambda job: ("true",))
    outcome = execute(Job("shell", exclusive="warehouse"), runner, key("p/r/b"), stop=lambda: True)
    assert (outcome.verdict, outcome.stopped) == (Verdict.CANCELLED, True)
    lease.release()
    assert execute(Job("shell", exclusive="warehouse"), runner, key("p/r/b")).succeeded


def test_the_time_out_of_a_job_begins_when_the_job_does(home: Path) -> None:
    lease = occupy("warehouse", key("p/r/a"))
    assert lease is not None
    waits = threading.Event()
    happened: list[str] = []

    def run() -> None:
        execute(
            Job("shell", exclusive="warehouse"),
            ProcessRunner(lambda job: ("true",)),
            key("p/r/b"),
            timeout=60,
            on_line=lambda line: waits.set(),
            on_start=lambda handle: happened.append("started"),
        )

    thread = threading.Thread(target=run)
    thread.start()
    assert waits.wait(PATIENCE)
    happened.append("released")
    lease.release()
    thread.join(PATIENCE)
    assert happened == ["released", "started"], "wait(), which has the clock, comes after the start"


def test_locks_are_private_and_their_names_bounded(tmp_path: Path, home: Path) -> None:
    database = tmp_path / "data" / ("x" * 200 + ".db")
    for resource in (f"duckdb:{database}", "w" * 5000, "../../etc/passwd\n"):
        lease = occupy(resource, key("p/r/a"))
        assert lease is not None
        lease.release()
    folders = [tmp_path / "data" / ".starlake-core" / "exclusive", home / "exclusive"]
    files = [file for folder in folders for file in folder.iterdir()]
    assert len(files) == 9
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert max(len(file.name) for file in files) < 80


def test_a_link_to_a_database_is_the_database(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    lease = occupy(f"duckdb:{tmp_path}/data/shop.db", key("p/r/a"))
    assert lease is not None
    assert occupy(f"duckdb:{tmp_path}/link/../link/shop.db", key("p/r/b"), wait=False) is None
    lease.release()


def test_a_forked_child_neither_has_it_nor_keeps_it(home: Path) -> None:
    lease = occupy("warehouse", key("p/r/a"))
    assert lease is not None
    assert inherited(key("p/r/a"))
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            code = 0 if inherited(key("p/r/a")) == () else 2
            os.write(ready[1], b"x")
            os.read(go[0], 1)
        finally:
            os._exit(code)
    os.read(ready[0], 1)
    lease.release()
    again = occupy("warehouse", key("p/r/b"), wait=False)
    os.write(go[1], b"x")
    assert os.waitpid(child, 0)[1] == 0
    assert again is not None, "a child that goes on does not keep it"
    again.release()
    for descriptor in (*ready, *go):
        os.close(descriptor)


HOLDER = """
import sys
from starlake_core import Job, RunKey
from starlake_core.runtime import ProcessRunner, execute

script = "echo $$; trap '' TERM; while :; do sleep 1; done"
runner = ProcessRunner(lambda job: ("sh", "-c", script))
execute(Job("shell", exclusive=sys.argv[1]), runner, RunKey("p/r/holder", "1"), on_line=lambda line: print(line, flush=True))
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[str], int]]:
    """A process with a resource and a command that is deaf; its resource, it, and the process of the command."""
    resource = f"duckdb:{tmp_path}/shop.db"
    process = subprocess.Popen([sys.executable, "-c", HOLDER, resource], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    command = int(process.stdout.readline())
    yield resource, process, command
    process.kill()
    process.communicate()
    until(lambda: not alive(command), "the command is gone")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_it_is_free_exactly_when_nothing_of_a_killed_user_is_alive(holder: Any) -> None:
    resource, process, command = holder
    process.kill()
    process.wait()
    told: list[str] = []
    # The command does not hear SIGTERM, so that the watchdog needs a while; as long as it lives, the resource is in use.
    while (lease := occupy(resource, key("p/r/next"), wait=False, on_wait=told.append)) is None:
        pass
    assert not alive(command)
    lease.release()
    assert told, "it was asked for while the command was alive"
    assert all("p/r/holder" in line for line in told)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="asks /proc who the watchdog is")
def test_it_is_in_use_while_the_command_lives_even_when_the_watchdog_was_killed_too(holder: Any) -> None:
    resource, process, command = holder
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    watchdog = next(int(pid) for pid in children if "watchdog" in Path(f"/proc/{pid}/cmdline").read_text())
    os.kill(watchdog, signal.SIGKILL)
    process.kill()
    process.wait()
    assert alive(command)
    assert occupy(resource, key("p/r/next"), wait=False) is None
    os.killpg(command, signal.SIGKILL)
    lease = until(lambda: occupy(resource, key("p/r/next"), wait=False), "the resource is free")
    assert not alive(command)
    lease.release()


# -- the local orchestrator


def drawn(place: OneWriter, name: str, state: Path, **options: Any) -> StarlakePipeline:
    given = {
        "SL_STARLAKE_PATH": str(place.program),
        "sl_env_var": {"SL_ROOT": str(place.root)},
        "state_dir": str(state),
        "retries": 0,
        **options,
    }
    with (
        Orchestration(
            given, orchestrator="local", environment="shell", filename="test.py", namespace={}
        ) as orchestration,
        orchestration.sl_create_pipeline(name=name, cron="0 0 * * *") as pipeline,
    ):
        for table in place.tables:
            pipeline.sl_load(domain="shop", table=table) >> pipeline.sl_transform(table, f"kpi.{table}")
    return pipeline


def test_what_is_held_up_holds_no_slot_and_says_for_what_it_waits(tmp_path: Path, home: Path) -> None:
    place = OneWriter(tmp_path / "project", ("a", "b", "c"))
    lease = occupy(f"duckdb:{place.database}", key("other/run/task"))
    assert lease is not None
    free = tmp_path / "free"
    given = {"SL_STARLAKE_PATH": str(place.program), "sl_env_var": {"SL_ROOT": str(place.root)}, "retries": 0}
    with (
        Orchestration(
            {**given, "state_dir": str(tmp_path / "state"), "parallelism": 1},
            orchestrator="local",
            environment="shell",
            filename="test.py",
            namespace={},
        ) as orchestration,
        orchestration.sl_create_pipeline(name="test", cron="0 0 * * *") as pipeline,
    ):
        for table in place.tables:
            pipeline.sl_load(domain="shop", table=table)
        pipeline.sl_job("free", ["settings"])
    events: list[TaskEvent] = []

    def listen(event: TaskEvent) -> None:
        events.append(event)
        if event.task == "free" and event.state == TaskState.SUCCEEDED:
            free.touch()

    reports: list[Any] = []
    thread = threading.Thread(target=lambda: reports.append(pipeline.start_run(request_run(pipeline, listener=listen))))
    thread.start()
    until(free.exists, "what needs nothing runs, although there is one slot and three others wait")
    until(lambda: len({e.task for e in events if e.state == TaskState.QUEUED}) == 3, "the others wait")
    lease.release()
    thread.join(PATIENCE)
    assert reports[0].succeeded, reports[0]
    assert place.lock_errors() == 0
    line = f"waiting for duckdb:{place.database}, used by other/run/task (pid {os.getpid()})"
    assert line in {event.reason for event in events}
    assert {task.attempts for task in reports[0].tasks if task.id.startswith("shop")} == {1}


def test_an_interrupt_ends_what_is_held_up(tmp_path: Path) -> None:
    place = OneWriter(tmp_path / "project")
    lease = occupy(f"duckdb:{place.database}", key("other/run/task"))
    assert lease is not None
    (process,) = runs(place, tmp_path, ("one",))
    log = tmp_path / "one.log"
    until(lambda: log.read_text().count("waiting for duckdb:") >= 3, "all wait")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 130
    lease.release()
    assert place.calls() == []
    again = occupy(f"duckdb:{place.database}", key("other/run/task"), wait=False)
    assert again is not None
    again.release()


def runs(place: OneWriter, folder: Path, names: tuple[str, ...], **options: Any) -> list[subprocess.Popen[bytes]]:
    """``starlake-orchestrate run`` of a file for each name, all at once; their output is in ``NAME.log``."""
    processes = []
    for name in names:
        given = {
            "SL_STARLAKE_PATH": str(place.program),
            "sl_env_var": {"SL_ROOT": str(place.root)},
            "state_dir": str(folder / f"state-{name}"),
            "retries": 0,
            **options,
        }
        file = folder / f"{name}.py"
        file.write_text(FILE.format(tables=list(place.tables), options=given, name=name), encoding="utf-8")
        command = [sys.executable, "-m", "starlake_core", "run", str(file), "--orchestrator", "local"]
        with (folder / f"{name}.log").open("ab") as log:
            processes.append(
                subprocess.Popen([*command, "--environment", "shell"], stdout=log, stderr=subprocess.STDOUT, cwd=folder)
            )
    return processes


def two_at_once(tmp_path: Path, times: int, meet: bool = False, **options: Any) -> tuple[OneWriter, list[int]]:
    place = OneWriter(tmp_path / "project")
    if meet:
        place.meet()
    codes = []
    for _ in range(times):
        processes = runs(place, tmp_path, ("one", "two"), **options)
        codes += [process.wait(PATIENCE * 5) for process in processes]
    return place, codes


def test_two_runs_at_once(tmp_path: Path) -> None:
    place, codes = two_at_once(tmp_path, 1)
    assert codes == [0] * 2, (tmp_path / "one.log").read_text()
    assert len(place.calls()) == 2 * 6
    assert place.lock_errors() == 0


def test_without_it_they_are_in_each_others_way(tmp_path: Path) -> None:
    """The control: the program does fail as the real one does."""
    place, codes = two_at_once(tmp_path, 1, meet=True, exclusive="none")
    assert 1 in codes
    assert place.lock_errors() > 0


@pytest.mark.soak
def test_two_runs_at_once_fifty_times(tmp_path: Path, record_property: Any) -> None:
    place, codes = two_at_once(tmp_path, 25)
    record_property(
        "summary",
        f"local, two at once on one DuckDB file: {len(codes)} runs, {len(place.calls())} commands, "
        f"{sum(code != 0 for code in codes)} runs failed, {place.lock_errors()} lock errors",
    )
    assert codes == [0] * 50
    assert place.lock_errors() == 0
