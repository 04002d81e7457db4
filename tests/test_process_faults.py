"""The runner of processes when the machine fails it: every thread may die at every step, every call of the system may fail once.

Whatever happens, an attempt ends with a reason within its time-out, and nothing that it started keeps running.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import linecache
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from starlake_core import Job, OutageError, RunError, RunKey, RunnerError
from starlake_core.processes import following, supervisor, watchdog
from starlake_core.processes.supervisor import Guard, run_lock
from starlake_core.runtime import Outcome, ProcessRunner, Verdict, execute

PATIENCE = 30.0
SEED = int(os.environ["STARLAKE_SOAK_SEED"])
ERRORS = (
    errno.ENOSPC, errno.EACCES, errno.EMFILE, errno.EAGAIN, errno.EIO, errno.EPIPE, errno.EINTR, errno.ENOLCK, errno.EPERM,
)  # fmt: skip


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.01)


class Task:
    """A process that says who it is, and a look at whether it is still there."""

    def __init__(self, folder: Path, script: str = "exit 0", **keywords: Any) -> None:
        self.pids = folder / "pids"
        self.job = Job("fake", ("-c", f"echo $$ >> {self.pids}; echo hello; {script}"), **keywords)
        self.runner = ProcessRunner(lambda job: ("/bin/sh", *job.arguments[:2]))
        self.lines: list[str] = []

    def run(self, timeout: float = PATIENCE) -> Outcome | RunError:
        try:
            return execute(self.job, self.runner, RunKey("p/r/t", "1"), timeout=timeout, on_line=self.lines.append)
        except RunError as error:
            return error

    def started(self) -> list[int]:
        return [int(word) for word in self.pids.read_text().split()] if self.pids.exists() else []

    def left(self) -> list[int]:
        return [pid for pid in self.started() if alive(pid)]


@pytest.fixture
def untidy() -> Iterator[None]:
    """For tests that break off in the middle of a call: what is left of it complains when it is collected, here and not later."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


# -- the thread that follows a process


class _Died(Exception):
    """What a thread is killed with."""


def _dying_at(step: int, reached: list[str]) -> Callable[..., Any]:
    """A trace function that raises once, in the step-th line of the module that follows processes."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        if frame.f_code.co_filename != following.__file__:
            return None
        # Before a lock is released there is a line event too, and no error that it could represent.
        if event == "line" and not linecache.getline(frame.f_code.co_filename, frame.f_lineno).lstrip().startswith(
            "with "
        ):
            count += 1
            if count == step:
                reached.append(f"{frame.f_code.co_name}:{frame.f_lineno}")
                raise _Died(f"in {reached[0]}")
        return trace

    return trace


@pytest.fixture
def deaths() -> Iterator[Callable[[int], list[str]]]:
    def prepare(step: int) -> list[str]:
        reached: list[str] = []
        threading.settrace(_dying_at(step, reached))
        return reached

    yield prepare
    threading.settrace(None)  # type: ignore[arg-type]


def steps(every: int) -> Iterator[int]:
    yield from range(1 + SEED % every, 10_000, every)


def _survives_a_death_at_each_step(tmp_path: Path, deaths: Callable[[int], list[str]], every: int) -> int:
    for number, step in enumerate(steps(every)):
        folder = tmp_path / str(step)
        folder.mkdir()
        task = Task(folder, "sleep 0.3; exit 0")
        reached = deaths(step)
        outcome = task.run()
        threading.settrace(None)  # type: ignore[arg-type]
        if not reached:
            assert isinstance(outcome, Outcome)
            assert outcome.verdict is Verdict.SUCCEEDED
            return number
        if isinstance(outcome, Outcome):
            assert outcome.verdict in (Verdict.SUCCEEDED, Verdict.FAILED, Verdict.LOST), (reached, outcome)
            assert outcome.succeeded or outcome.reason, reached
        else:
            assert isinstance(outcome, OutageError), (reached, outcome)
        assert not task.left(), (reached, outcome)
        assert not supervisor.guard._groups, (reached, supervisor.guard._groups)
    raise AssertionError("it never ended without dying")


@pytest.mark.usefixtures("untidy")
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnhandledThreadExceptionWarning",
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
def test_a_thread_that_dies_ends_its_attempt(tmp_path: Path, deaths: Callable[[int], list[str]]) -> None:
    assert _survives_a_death_at_each_step(tmp_path, deaths, 7) > 10


@pytest.mark.soak
@pytest.mark.usefixtures("untidy")
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnhandledThreadExceptionWarning",
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
def test_a_thread_that_dies_at_any_step_ends_its_attempt(tmp_path: Path, deaths: Callable[[int], list[str]]) -> None:
    assert _survives_a_death_at_each_step(tmp_path, deaths, 1) > 100


def _check(folder: Path, script: str) -> Outcome | RunError:
    """A check whose script knows its marker as $0."""
    job = Job("fake", ("preload",), {"SL_ROOT": str(folder)}, check=True)
    runner = ProcessRunner(lambda job: ("/bin/sh", "-c", script, job.arguments[-1]))
    try:
        return execute(job, runner, RunKey("p/r/t", "1"), timeout=PATIENCE)
    except RunError as error:
        return error


def test_a_marker_that_is_no_file_is_a_failure_with_a_reason(tmp_path: Path) -> None:
    outcome = _check(tmp_path, 'mkdir -p "$0"')
    assert isinstance(outcome, Outcome)
    assert outcome.verdict is Verdict.FAILED
    assert "marker" in outcome.reason
    assert "s a directory" in outcome.reason or "Operation not permitted" in outcome.reason


# -- calls of the system


class _Once:
    """Fails once, at a certain call, and is the real thing otherwise."""

    def __init__(self, real: Callable[..., Any], number: int, error: BaseException) -> None:
        self.real, self.left, self.error, self.failed = real, number, error, False

    def function(self) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            if not self.failed:
                self.left -= 1
                if self.left < 0:
                    self.failed = True
                    raise self.error
            return self.real(*arguments, **keywords)

        return call


# Where a call stands: module and name, and how many of its calls are tried one after the other.
CALLS: list[tuple[Any, str, int]] = [
    (os, "read", 3),
    (os, "waitid", 3),
    (os, "killpg", 2),
    (os, "unlink", 2),
    (os, "makedirs", 1),
    (os, "pipe", 2),
    (following.subprocess, "Popen", 1),
    (following.select, "poll", 1),
    (threading.Thread, "start", 1),
    (watchdog.os, "listdir", 2),
]


# Where a call fails between the fork and the moment when the process is known, what is left is an object that complains.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("untidy")
@pytest.mark.parametrize(
    "codes", [ERRORS[SEED % 3 :: 3], pytest.param(ERRORS, marks=pytest.mark.soak)], ids=["some errors", "all errors"]
)
@pytest.mark.parametrize("check", [False, True], ids=["task", "check"])
@pytest.mark.parametrize(("module", "name", "count"), CALLS, ids=[f"{name}" for _, name, _ in CALLS])
def test_a_call_that_fails_once_hangs_and_leaves_nothing(
    module: Any,
    name: str,
    count: int,
    check: bool,
    codes: tuple[int, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(count):
        for code in codes if name != "start" else (0,):
            error: BaseException = OSError(code, os.strerror(code)) if code else RuntimeError("can't start new thread")
            folder = tmp_path / f"{number}-{code}"
            folder.mkdir()
            task = Task(folder)
            if check:
                arguments = ("preload", *task.job.arguments[1:])
                task.job = Job("fake", arguments, {"SL_ROOT": str(folder)}, check=True)
                task.runner = ProcessRunner(lambda job: ("/bin/sh", "-c", job.arguments[1]))
            with monkeypatch.context() as patch:
                once = _Once(getattr(module, name), number, error)
                patch.setattr(module, name, once.function())
                outcome = task.run()
            about = (name, number, errno.errorcode.get(code), outcome)
            assert not task.left(), about
            if isinstance(outcome, Outcome):
                assert outcome.verdict in (Verdict.SUCCEEDED, Verdict.FAILED), about
                assert outcome.succeeded or outcome.reason, about
            else:
                assert str(outcome), about
            # What it says holds: a second try, with nothing in its way, is a success.
            again = Task(folder)
            assert isinstance(found := again.run(), Outcome), about
            assert found.succeeded, about


@pytest.mark.parametrize("code", [errno.EMFILE, errno.EAGAIN, errno.ENOMEM, errno.EIO, errno.ENOSPC])
def test_what_the_machine_lacks_at_the_moment_is_tried_again_and_gives_no_wrong_hint(
    code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **keywords: Any) -> Any:
        raise OSError(code, os.strerror(code))

    runner = ProcessRunner(lambda job: ("/bin/true",), missing="Install it.")
    supervisor.guard.start()
    monkeypatch.setattr(following.subprocess, "Popen", fail)
    with pytest.raises(OutageError, match="cannot be started now") as caught:
        runner.submit(Job("fake", ()), RunKey("p/r/t", "1"))
    assert "Install" not in str(caught.value)


@pytest.mark.parametrize("code", [errno.E2BIG, errno.ENOEXEC, errno.ELOOP])
def test_what_stays_wrong_is_final_and_gives_no_wrong_hint(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **keywords: Any) -> Any:
        raise OSError(code, os.strerror(code))

    runner = ProcessRunner(lambda job: ("/bin/true",), missing="Install it.")
    supervisor.guard.start()
    monkeypatch.setattr(following.subprocess, "Popen", fail)
    with pytest.raises(RunnerError, match="cannot be started: ") as caught:
        runner.submit(Job("fake", ()), RunKey("p/r/t", "1"))
    assert "Install" not in str(caught.value)


def test_without_a_thread_no_process_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    task = Task(tmp_path, "sleep 60")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        outcome = task.run()
    assert isinstance(outcome, OutageError)
    assert not task.left()


def test_who_is_interrupted_while_a_process_starts_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task(tmp_path, "sleep 60")
    real = subprocess.Popen
    main = threading.main_thread().ident
    assert main is not None

    def slow(*arguments: Any, **keywords: Any) -> Any:
        process = real(*arguments, **keywords)
        until(task.started, "it has started")
        signal.pthread_kill(main, signal.SIGINT)
        until(lambda: task.runner._running.get("p/r/t#1") is None, "the interrupt has arrived")
        return process

    supervisor.guard.start()
    monkeypatch.setattr(following.subprocess, "Popen", slow)
    with pytest.raises(KeyboardInterrupt):
        task.run()
    until(lambda: not task.left(), "it ends")


IGNORING = """
import signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
from starlake_core import Job, RunKey
from starlake_core.runtime import ProcessRunner, execute
runner = ProcessRunner(lambda job: ("/bin/sh", "-c", "exit 3"))
print(execute(Job("x"), runner, RunKey("t", "1"), timeout=20).verdict)
"""


def test_an_exit_code_that_somebody_else_took_is_no_success() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IGNORING], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.stdout.strip() == "lost", done


def test_other_work_under_the_same_name_is_not_taken_for_its_own() -> None:
    runner = ProcessRunner(lambda job: ("/bin/sh", "-c", *job.arguments))
    key = RunKey("p/r/t", "1")
    assert execute(Job("x", ("exit 0",)), runner, key, timeout=PATIENCE).succeeded
    assert execute(Job("x", ("exit 3",)), runner, key, timeout=PATIENCE).exit_code == 3
    handle = runner.submit(Job("x", ("sleep 60",)), key)
    with pytest.raises(RunnerError, match="other work is running"):
        runner.submit(Job("x", ("exit 0",)), key)
    runner.cancel(handle)
    until(lambda: runner.poll([handle])[handle].ended, "it ends")


# -- what a task leaves behind


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")
def test_a_daemon_that_a_task_leaves_ends_with_it_and_is_named(tmp_path: Path) -> None:
    daemon = tmp_path / "daemon"
    task = Task(
        tmp_path,
        f"setsid sh -c 'echo $$ > {daemon}; exec sleep 300' > /dev/null 2>&1 & while [ ! -s {daemon} ]; do :; done",
    )
    outcome = task.run()
    assert isinstance(outcome, Outcome)
    assert outcome.succeeded
    pid = int(daemon.read_text())
    assert not alive(pid)
    assert any("left running" in line and str(pid) in line for line in task.lines), task.lines


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")
def test_a_daemon_of_another_task_goes_on(tmp_path: Path) -> None:
    slow = Task(tmp_path, "setsid sleep 300 & wait")
    handle = slow.runner.submit(slow.job, RunKey("p/r/other", "1"))
    until(slow.started, "it runs")
    quick = tmp_path / "quick"
    quick.mkdir()
    assert isinstance(outcome := Task(quick).run(), Outcome)
    assert outcome.succeeded
    assert slow.left()
    slow.runner.cancel(handle)
    until(lambda: slow.runner.poll([handle])[handle].ended, "it ends")


HOLDER = """
import sys, time
from pathlib import Path
from starlake_core import Job, RunKey
from starlake_core.runtime import ProcessRunner
from starlake_core.processes.supervisor import guard, run_lock
runner = ProcessRunner(lambda job: ("/bin/sh", "-c", "setsid sleep 300 & echo $!; sleep 300 & echo $! $$; wait"))
with run_lock(Path(sys.argv[1])):
    handle = runner.submit(Job("x"), RunKey("t", "1"))
    while len(runner.logs(handle, None)[0]) < 2:
        time.sleep(0.01)
    print(guard._process.pid, *" ".join(runner.logs(handle, None)[0]).split(), flush=True)
    time.sleep(300)
"""


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")
def test_orphans_of_a_run_whose_watchdog_died_too_are_ended_before_it_goes_on(tmp_path: Path) -> None:
    lock = tmp_path / "locks" / "one.lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(lock)], stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout is not None
        dog, *orphans = (int(word) for word in holder.stdout.readline().split())
        os.kill(dog, signal.SIGKILL)
        os.kill(holder.pid, signal.SIGKILL)
    assert all(map(alive, orphans))
    with run_lock(lock, patience=PATIENCE):
        assert not any(map(alive, orphans))
    assert lock.read_text() == ""


# -- the watchdog and the lock


RIVAL = """
import sys
from pathlib import Path
from starlake_core import RunError
from starlake_core.processes.supervisor import is_locked, run_lock
print("held" if is_locked(Path(sys.argv[1])) else "free")
try:
    with run_lock(Path(sys.argv[1]), patience=0.2):
        print("taken")
except RunError as error:
    print(error)
"""


def test_nobody_gets_the_lock_of_a_run_while_its_holder_makes_it_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To make a lock shared, a system lets go of it first."""
    lock, said = tmp_path / "locks" / "x.lock", []
    flock = supervisor.fcntl.flock

    def slowly(descriptor: int, operation: int) -> None:
        if operation == supervisor.fcntl.LOCK_SH and not said:
            flock(descriptor, supervisor.fcntl.LOCK_UN)
            rival = [sys.executable, "-c", RIVAL, str(lock)]
            said.extend(subprocess.run(rival, text=True, stdout=subprocess.PIPE, check=True).stdout.splitlines())
        flock(descriptor, operation)

    monkeypatch.setattr(supervisor.fcntl, "flock", slowly)
    with run_lock(lock):
        assert said[0] == "held"
        assert "is still running in another process" in said[1]


def test_a_watchdog_that_cannot_be_told_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Guard()
    mine.start()
    first = mine._process
    assert first is not None
    first.kill()
    first.wait()
    with subprocess.Popen(["sleep", "300"], start_new_session=True) as process:
        mine.add(process.pid)
        assert mine._process is not None
        assert mine._process.pid != first.pid
        mine.close()
        assert process.wait(PATIENCE) == -signal.SIGTERM


def test_a_watchdog_that_cannot_be_started_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **keywords: Any) -> Any:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(supervisor.subprocess, "Popen", fail)
    with pytest.raises(OutageError, match="watchdog"):
        Guard().start()


@pytest.mark.parametrize("name", ["open", "fcntl", "pread", "ftruncate"])
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EACCES, errno.EIO, errno.EMFILE])
def test_a_lock_that_cannot_be_taken_is_one_message(
    name: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **keywords: Any) -> Any:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(
            supervisor.fcntl if name == "fcntl" else supervisor.os, "flock" if name == "fcntl" else name, fail
        )
        with pytest.raises(RunError, match=r"cannot be taken: .*state_dir"), run_lock(tmp_path / "locks" / "x.lock"):
            pass


def test_a_lock_that_the_watchdog_cannot_hold_is_an_error(tmp_path: Path) -> None:
    mine = Guard()
    try:
        with pytest.raises(RunError, match="cannot be held"):
            mine.hold(str(tmp_path / "no" / "such.lock"))
        mine.hold(str(tmp_path / "x.lock"))
    finally:
        mine.close()
