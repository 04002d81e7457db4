"""The local orchestrator when the record, the machine or a thread fails it: the run ends with the right record, and ``resume`` finishes it."""

from __future__ import annotations

import errno
import gc
import linecache
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from local_project import Project
from starlake_core_local import recording as recording_module
from starlake_core_local import scheduler as scheduler_module
from starlake_core_local import store as store_module

from starlake_core import (
    PluginFailedError,
    Report,
    RunError,
    RunRequest,
    StarlakeDomain,
    StarlakePipeline,
    StarlakeSchedule,
    TaskState,
    request_run,
)

PATIENCE = 60.0
SEED = int(os.environ["STARLAKE_SOAK_SEED"])
ERRORS = (
    errno.ENOSPC, errno.EACCES, errno.EMFILE, errno.EAGAIN, errno.EIO, errno.EPIPE, errno.EINTR, errno.ENOLCK,
)  # fmt: skip


def chain(pipeline: StarlakePipeline) -> None:
    first, second = (pipeline.sl_load(domain="d", table=name) for name in ("a", "b"))
    first >> second


def resuming(pipeline: StarlakePipeline, run_id: str) -> RunRequest:
    return replace(request_run(pipeline, run_id=run_id), resume=True)


def finished(project: Project, pipeline: StarlakePipeline, run_id: str) -> Report:
    """The run, resumed if its record says that it did not succeed."""
    with_store = store_module.Store(project.root / "state")
    try:
        record = with_store.get(run_id)
    finally:
        with_store.close()
    if record is None:
        return pipeline.run(run_id=run_id)
    if record.state == TaskState.SUCCEEDED:
        return next(iter(listed(pipeline, run_id)))
    return pipeline.start_run(resuming(pipeline, run_id))


def listed(pipeline: StarlakePipeline, run_id: str) -> list[Report]:
    found = pipeline.orchestration.plugins.list_runs(pipeline.options, Path("."), None)
    return [report for report in found or () if report.run_id == run_id]


@pytest.fixture
def untidy() -> Iterator[None]:
    """For tests that break off in the middle of a call: what is left of it complains when it is collected, here and not later."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


# -- calls of the system that fail once


CALLS: list[tuple[Any, str, int]] = [
    (os, "open", 6),
    (os, "write", 3),
    (os, "chmod", 1),
    (os, "ftruncate", 2),
    (os, "mkdir", 3),
    (sqlite3, "connect", 2),
    (threading.Thread, "start", 6),
    (os, "close", 4),
]


def failing_once(module: Any, name: str, number: int, code: int) -> Callable[..., Any]:
    real = getattr(module, name)
    left = number

    def call(*arguments: Any, **keywords: Any) -> Any:
        nonlocal left
        left -= 1
        if left == -1:
            if module is sqlite3:
                raise sqlite3.OperationalError(os.strerror(code))
            raise RuntimeError("can't start new thread") if name == "start" else OSError(code, os.strerror(code))
        return real(*arguments, **keywords)

    return call


def outcome_of(pipeline: StarlakePipeline, run_id: str) -> Report | RunError:
    try:
        return pipeline.run(run_id=run_id)
    except RunError as error:
        return error


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("untidy")
@pytest.mark.parametrize(
    "codes", [ERRORS[SEED % 4 :: 4], pytest.param(ERRORS, marks=pytest.mark.soak)], ids=["some errors", "all errors"]
)
@pytest.mark.parametrize(("module", "name", "count"), CALLS, ids=[name for _, name, _ in CALLS])
def test_a_call_that_fails_once_is_one_message_or_none_and_loses_nothing(
    module: Any, name: str, count: int, codes: tuple[int, ...], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(count):
        for code in codes:
            run_id = f"{name}-{number}-{code}"
            (project.root / "calls").unlink(missing_ok=True)
            pipeline = project.pipeline(chain, retries=1, retry_delay=0)
            with monkeypatch.context() as patch:
                patch.setattr(module, name, failing_once(module, name, number, code))
                outcome = outcome_of(pipeline, run_id)
            about = (name, number, errno.errorcode[code], outcome)
            report = finished(project, pipeline, run_id)
            assert report.succeeded, about
            assert "\n" not in str(outcome), about
            done = project.calls()
            # Where a pipe cannot be closed, the process was stopped in its first moment.
            assert list(dict.fromkeys(done)) == ["load a", "load b"], (done, about)
            assert len(done) == 2 or name == "close", (done, about)


def test_a_record_that_cannot_be_written_for_a_moment_stops_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = store_module.Store.write, 0

    def write(self: store_module.Store, *arguments: Any) -> None:
        nonlocal failures
        failures += 1
        if 2 <= failures <= 4:
            raise RunError("the run record cannot be used: database or disk is full")
        real(self, *arguments)

    monkeypatch.setattr(store_module.Store, "write", write)
    report = project.pipeline(chain).run(run_id="one")
    assert report.succeeded
    assert project.calls() == ["load a", "load b"]


def test_a_record_that_stays_unwritable_ends_the_run_with_one_message_and_resume_finishes_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_module, "RECORD_SECONDS", 0.2)
    pipeline = project.pipeline(chain)
    real, failures = store_module.Store.write, 0

    def write(self: store_module.Store, *arguments: Any) -> None:
        nonlocal failures
        failures += 1
        if failures > 1:
            raise RunError("the run record cannot be used: database or disk is full")
        real(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(store_module.Store, "write", write)
        with pytest.raises(
            RunError,
            match=r"disk is full.*are not recorded. When the record can be written again, type: starlake-orchestrate resume --run one",
        ):
            pipeline.run(run_id="one")
    assert listed(pipeline, "one")[0].state == TaskState.INTERRUPTED
    assert not [task for task in listed(pipeline, "one")[0].tasks if task.state == TaskState.RUNNING]
    assert pipeline.start_run(resuming(pipeline, "one")).succeeded
    # What succeeded and could not be recorded is done again, nothing else is.
    assert project.calls() in (["load a", "load a", "load b"], ["load a", "load b"])


@pytest.mark.parametrize(
    "content", [b"", b"SQLite format 3\0" + b"\xff" * 5000, b"garbage" * 1000], ids=["empty", "damaged", "no database"]
)
def test_a_file_that_is_not_a_record_is_one_message(project: Project, content: bytes) -> None:
    state = project.root / "state"
    state.mkdir()
    (state / "runs.db").write_bytes(content)
    pipeline = project.pipeline(chain)
    if not content:
        assert pipeline.run().succeeded
        return
    with pytest.raises(RunError, match="cannot be used"):
        pipeline.run()


def test_a_database_of_something_else_is_left_alone(project: Project) -> None:
    state = project.root / "state"
    state.mkdir()
    with sqlite3.connect(state / "runs.db") as db:
        db.execute("CREATE TABLE runs (x)")
    db.close()
    with pytest.raises(RunError, match="the database of another program"):
        project.pipeline(chain).run()


def test_pages_that_are_damaged_later_are_one_message(project: Project) -> None:
    pipeline = project.pipeline(chain)
    assert pipeline.run(run_id="one").succeeded
    file = project.root / "state" / "runs.db"
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    file.write_bytes(bytes(content))
    with pytest.raises(RunError, match="cannot be used"):
        listed(pipeline, "one")


def test_a_row_that_cannot_be_read_is_named_and_can_be_forgotten(project: Project) -> None:
    pipeline = project.pipeline(chain)
    assert pipeline.run(run_id="one").succeeded
    with sqlite3.connect(project.root / "state" / "runs.db") as db:
        db.execute("UPDATE runs SET interval_end='yesterday'")
    db.close()
    with pytest.raises(RunError, match=r"run 'one' .* is damaged.*--forget one"):
        listed(pipeline, "one")


# -- threads


PACKAGE = Path(str(scheduler_module.__file__)).parent


class _Died(Exception):
    pass


def _dying_at(step: int, reached: list[str]) -> Callable[..., Any]:
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        if Path(frame.f_code.co_filename).parent != PACKAGE:
            return None
        # Before a lock is released there is a line event too, and no error that it could stand for.
        if event == "line" and not linecache.getline(frame.f_code.co_filename, frame.f_lineno).lstrip().startswith(
            "with "
        ):
            count += 1
            if count == step:
                reached.append(f"{frame.f_code.co_name}:{frame.f_lineno}")
                raise _Died(f"in {reached[0]}")
        return trace

    return trace


def _survives_deaths(project: Project, every: int) -> int:
    for number, step in enumerate(range(1 + SEED % every, 1000, every)):
        (project.root / "calls").unlink(missing_ok=True)
        pipeline = project.pipeline(chain, retries=0)
        reached: list[str] = []
        threading.settrace(_dying_at(step, reached))
        try:
            report = pipeline.run(run_id=f"r{step}")
        finally:
            threading.settrace(None)  # type: ignore[arg-type]
        if not reached:
            assert report.succeeded
            return number
        assert all(
            task.state in (TaskState.SUCCEEDED, TaskState.FAILED, TaskState.UPSTREAM_FAILED) for task in report.tasks
        )
        assert finished(project, pipeline, f"r{step}").succeeded, reached
    raise AssertionError("it never ended without dying")


@pytest.mark.usefixtures("untidy")
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnhandledThreadExceptionWarning",
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
def test_a_thread_of_an_attempt_that_dies_ends_it_and_resume_finishes_the_run(project: Project) -> None:
    assert _survives_deaths(project, 5) > 3


@pytest.mark.soak
@pytest.mark.usefixtures("untidy")
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnhandledThreadExceptionWarning",
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
def test_a_thread_of_an_attempt_that_dies_at_any_step(project: Project) -> None:
    assert _survives_deaths(project, 1) > 20


def test_an_error_of_the_loop_stops_what_runs(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing goes on without the loop that would record its end."""
    (project.root / "hang" / "a").touch()
    pipeline = project.pipeline(lambda pipeline: pipeline.sl_load(domain="d", table="a"))
    real = scheduler_module.Scheduler._take

    def take(self: Any, timeout: float) -> None:
        if (project.root / "pids").exists() and len((project.root / "pids").read_text().split()) == 2:
            raise MemoryError
        real(self, timeout)

    monkeypatch.setattr(scheduler_module.Scheduler, "_take", take)
    with pytest.raises(PluginFailedError, match="failed in sl_run_pipeline: MemoryError"):
        pipeline.run(run_id="one")
    for pid in (project.root / "pids").read_text().split():
        assert not _alive(int(pid))


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


# -- names and files


def test_names_of_any_length_run(project: Project) -> None:
    schedule = StarlakeSchedule("s" * 120, "0 0 * * *", [StarlakeDomain("d" * 120, tables=["t" * 120])])
    from starlake_core import Orchestration

    given = project.options(pre_load_strategy="pending")
    project.ready("d" * 120)
    with (
        Orchestration(given, orchestrator="local", environment="shell", filename="t.py", namespace={}) as orchestration,
        orchestration.sl_create_pipeline(schedule=schedule) as pipeline,
    ):
        pipeline.add_schedule()
    report = pipeline.run(run_id="r" * 250)
    assert report.succeeded, report
    assert len({task.log for task in report.tasks if task.log}) == sum(1 for task in report.tasks if task.log) > 1
    assert listed(pipeline, "r" * 250)[0].state == TaskState.SUCCEEDED


@pytest.mark.parametrize("existed", [False, True], ids=["new", "an older version's"])
def test_what_is_kept_is_private_whatever_the_umask(project: Project, existed: bool) -> None:
    pipeline = project.pipeline(chain)
    state = project.root / "state"
    before = os.umask(0)
    try:
        if existed:
            assert pipeline.run().succeeded
            for path in (state, *state.rglob("*")):
                path.chmod(0o777 if path.is_dir() else 0o666)
        assert pipeline.run().succeeded
    finally:
        os.umask(before)
    wide = {
        str(path.relative_to(state)): oct(path.stat().st_mode)
        for path in (state, *state.rglob("*"))
        if stat.S_IMODE(path.stat().st_mode) & 0o077 and path.name != ".gitignore"
    }
    if not existed:
        assert not wide
    else:  # what earlier runs left in the folders is behind closed doors
        assert not [name for name in wide if not name.startswith(("logs/", "locks/"))], wide


# -- interrupts


PIPELINE = """
import pathlib
from starlake_core import Job, Lifecycle, Orchestration, hookimpl

project = pathlib.Path({root!r})
options = {{"SL_STARLAKE_PATH": str(project / "starlake"), "sl_env_var": {{"SL_ROOT": str(project)}}, "retries": 0}}

class Around:
    name = "around"

    @hookimpl
    def sl_create_lifecycle(self, pipeline, options):
        def job(table):
            # It loads no files, so that it may be done again after a kill.
            return Job("shell", ("load", "--tables", table), options["sl_env_var"],
                       {{"executable": options["SL_STARLAKE_PATH"], "include_env": []}}, retry_unsafe="blind")
        return Lifecycle((("create", job("create")),), (("delete", job("delete")),))

with Orchestration(options, environment="shell", orchestrator="local", addons=[Around()]) as orchestration:
    with orchestration.sl_create_pipeline(name="stopped", cron="0 0 * * *") as pipeline:
        pre = pipeline.pre_tasks()
        work = [pipeline.sl_load(domain="d", table=name) for name in ("a", "b", "c")]
        post = pipeline.post_tasks()
        pre >> work
        work >> post
"""


def command(*arguments: object, **keywords: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "starlake_core", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **keywords,
    )


def _wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _stopped_in_the_middle(project: Project, number: signal.Signals, **keywords: Any) -> tuple[int, str]:
    (project.root / "hang" / "a").touch()
    file = project.root / "pipeline.py"
    file.write_text(PIPELINE.format(root=str(project.root)))
    process = command("run", file, **keywords)
    pids = project.root / "pids"
    _wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    os.kill(process.pid, number)
    if keywords:
        (project.root / "hang" / "a").unlink()
        for pid in pids.read_text().split():
            os.kill(int(pid), signal.SIGKILL)
    output, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_run_with_its_tear_downs(project: Project, number: signal.Signals) -> None:
    code, output = _stopped_in_the_middle(project, number)
    assert code == 130, output
    assert "stopped: cancelled" in output
    assert project.calls()[-1] == "load delete"


def test_a_hang_up_that_is_ignored_stays_ignored(project: Project) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    code, output = _stopped_in_the_middle(project, signal.SIGHUP, preexec_fn=ignore)
    assert code == 1, output  # what hung was killed, and nobody stopped the run
    assert "stopped: failed" in output


def _interrupted(project: Project, delay: float, number: signal.Signals) -> str:
    """Interrupt a run after a while; then everything is as it has to be."""
    (project.root / "starlake").write_text(
        (project.root / "starlake").read_text().replace('echo "output of $what"', "echo $$ >> pids; sleep 0.1")
    )
    file = project.root / "pipeline.py"
    file.write_text(PIPELINE.format(root=str(project.root)))
    process = command("run", file)
    time.sleep(delay)
    process.send_signal(number)
    output, _ = process.communicate(timeout=PATIENCE)
    story = f"{number.name} after {delay:.3f} s: {process.returncode}\n{output}"
    pids = project.root / "pids"
    assert not [pid for pid in (pids.read_text().split() if pids.exists() else ()) if _alive(int(pid))], story
    calls = project.calls()
    if "load create" in calls:
        assert calls[-1] == "load delete", (calls, story)
    listing, _ = (shown := command("runs", file)).communicate(timeout=PATIENCE)
    assert shown.returncode == 0, listing
    assert "running" not in listing, (listing, story)
    resumed = command("resume", file)
    output, _ = resumed.communicate(timeout=PATIENCE)
    assert resumed.returncode == 0, (output, story)
    if calls or "no runs yet" not in listing:
        done = project.calls()
        assert {"load create", "load a", "load b", "load c", "load delete"} <= set(done), (done, output, story)
        # What had succeeded is not done again: only what was stopped may stand twice.
        assert all(done.count(f"load {name}") <= 2 for name in "abc"), (done, story)
    return story


@pytest.mark.faults
@pytest.mark.parametrize("moment", [pytest.param(n, marks=pytest.mark.soak if n >= 20 else ()) for n in range(200)])
def test_an_interrupt_at_any_moment(project: Project, moment: int) -> None:
    import random

    random_ = random.Random(SEED * 1000 + moment)
    number = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)[moment % 3]
    _interrupted(project, random_.uniform(0.0, 1.8), number)
