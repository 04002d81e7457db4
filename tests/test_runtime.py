"""The runtime: one attempt from start to finish on a scripted runner, and real processes."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from starlake_core import (
    DataInterval,
    Job,
    OutageError,
    PluginContractError,
    PluginFailedError,
    PluginNotFoundError,
    Run,
    RunKey,
    RunnerError,
    hookimpl,
    plugins,
)
from starlake_core.plugins import select
from starlake_core.plugins.blame import label_runner
from starlake_core.processes import following
from starlake_core.processes.runner import local_folder, worker_environment
from starlake_core.runtime import (
    AttemptInfo,
    BatchPoller,
    OlderAttempt,
    Outcome,
    ProcessRunner,
    Runner,
    Status,
    Verdict,
    cancel_and_settle,
    execute,
    explain_not_ready,
    finish,
    in_project,
    may_pass,
    pause,
    pausing,
    remote_marker,
    retrying,
    runner_for,
    shared_poller,
    start,
    tell_end,
    wait,
    watch,
)
from starlake_core.runtime import poller as poller_module

execute_module: Any = sys.modules["starlake_core.runtime.attempt"]  # the package has a function of that name

JOB = Job("fake", ("stage", "--domains", "sales"))
KEY = RunKey("p/r/t", "2")
END = datetime(2026, 11, 2, tzinfo=timezone.utc)
GOING, DONE = Status(), Status(Outcome(Verdict.SUCCEEDED, 0))
PATIENCE = 30.0


@dataclass
class Scripted(Runner):
    """A runner that answers from lists: what it finds, and what the polls of a handle say one after the other (the last one stays)."""

    found: Sequence[AttemptInfo] = ()
    script: dict[str, list[Status]] = field(default_factory=dict)
    after_cancel: dict[str, Status] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    interval: float = 5.0
    calls: list[tuple[str, ...]] = field(default_factory=list)
    log_error: bool = False
    sleep: Callable[[float], None] = time.sleep

    def wait(self, handles: Sequence[str], timeout: float) -> None:
        self.sleep(timeout)

    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        self.calls.append(("find", task))
        return self.found

    def submit(self, job: Job, key: RunKey) -> str:
        self.calls.append(("submit", key.task, key.attempt))
        return f"new {key.attempt}"

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        result = {}
        for handle in handles:
            cancelled = ("cancel", handle) in self.calls and handle in self.after_cancel
            script = self.script.get(handle, [DONE])
            result[handle] = self.after_cancel[handle] if cancelled else script.pop(0) if len(script) > 1 else script[0]
        return result

    def cancel(self, handle: str) -> None:
        self.calls.append(("cancel", handle))

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        if self.log_error:
            raise OSError("no log")
        seen = int(cursor or 0)
        return self.lines[seen:], str(len(self.lines))

    def called(self, name: str) -> list[tuple[str, ...]]:
        return [call for call in self.calls if call[0] == name]


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def found(attempt: str, status: Status = GOING) -> AttemptInfo:
    return AttemptInfo(attempt, f"old {attempt}", status)


def cancelled(verdict: Verdict = Verdict.CANCELLED, **keywords: Any) -> Status:
    return Status(Outcome(verdict, **keywords))


# start


def test_a_new_attempt_is_submitted_under_its_own_key() -> None:
    runner = Scripted()
    assert isinstance(runner, Runner)
    assert start(JOB, runner, KEY) == "new 2"
    assert runner.calls == [("find", "p/r/t"), ("submit", "p/r/t", "2")]


@pytest.mark.parametrize("status", [GOING, DONE, cancelled(Verdict.FAILED)])
@pytest.mark.parametrize("older", OlderAttempt)
def test_the_same_attempt_gets_its_own_run_back(status: Status, older: OlderAttempt) -> None:
    runner = Scripted([found("1"), found("2", status)])
    assert start(JOB, runner, KEY, older) == "old 2"
    assert runner.calls == [("find", "p/r/t")]


def test_a_live_older_attempt_is_adopted() -> None:
    runner = Scripted([found("1")])
    assert start(JOB, runner, KEY) == "old 1"
    assert not runner.called("submit")
    assert not runner.called("cancel")


def test_a_live_older_attempt_is_cancelled_and_has_ended_before_the_new_one_starts() -> None:
    runner = Scripted([found("1")], {"old 1": [GOING]}, {"old 1": cancelled()})
    assert start(JOB, runner, KEY, OlderAttempt.CANCEL) == "new 2"
    assert [call[0] for call in runner.calls] == ["find", "cancel", "submit"]


def test_of_several_live_attempts_the_newest_is_adopted_and_the_others_are_stopped() -> None:
    attempts = [found("0"), found("1", DONE), found("1b")]
    runner = Scripted(attempts, {"old 0": [GOING]}, {"old 0": cancelled()})
    assert start(JOB, runner, KEY) == "old 1b"
    assert runner.called("cancel") == [("cancel", "old 0")]


@pytest.mark.parametrize("number", ["1", "2"])
@pytest.mark.parametrize("older", OlderAttempt)
def test_work_of_an_earlier_generation_is_done_again(older: OlderAttempt, number: str) -> None:
    """Whether the numbers of attempts go on or begin again. What still runs is stopped first."""
    again = Run("p", "r", DataInterval(END, END)).attempt("t", number, generation=1).key
    ended = Scripted([found("1", DONE)])
    assert execute(JOB, ended, again, older=older).succeeded
    assert ended.called("submit") == [("submit", "p/r/t", f"1~{number}")]
    going = Scripted([found("1")], {"old 1": [GOING]}, {"old 1": cancelled()})
    assert start(JOB, going, again, older) == f"new 1~{number}"
    assert [call[0] for call in going.calls] == ["find", "cancel", "submit"]
    own = Scripted([found("1"), found("1~1", DONE)], after_cancel={"old 1": cancelled()})
    assert start(JOB, own, again, older) == ("old 1~1" if number == "1" else "new 1~2")


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("older", OlderAttempt)
def test_an_older_attempt_that_has_ended_is_never_taken(verdict: Verdict, older: OlderAttempt) -> None:
    runner = Scripted([found("1", Status(Outcome(verdict)))])
    assert start(JOB, runner, KEY, older) == "new 2"
    assert not runner.called("cancel")


STOPPING = Status(detail="CANCELLING", stopping=True)


@pytest.mark.parametrize("older", OlderAttempt)
def test_an_older_attempt_that_is_being_stopped_is_waited_for_and_not_adopted(older: OlderAttempt) -> None:
    runner = Scripted([found("1", STOPPING)], {"old 1": [STOPPING, STOPPING, cancelled()]}, interval=0.001)
    assert start(JOB, runner, KEY, older) == "new 2"
    assert len(runner.script["old 1"]) == 1, "it had not ended when the new one was started"
    assert not runner.called("cancel"), "it was cancelled twice"


def test_an_attempt_that_goes_on_is_adopted_beside_one_that_is_being_stopped() -> None:
    runner = Scripted([found("0", STOPPING), found("1"), found("1b", STOPPING)])
    assert start(JOB, runner, KEY) == "old 1"


def test_what_was_taken_over_and_is_cancelled_by_others_is_not_the_end_of_the_new_attempt() -> None:
    """A service that tells an earlier state says of an attempt that is being stopped that it runs."""
    runner = Scripted([found("1")], {"old 1": [GOING, cancelled()], "new 2": [DONE]}, interval=0.001)
    started: list[str] = []
    assert execute(JOB, runner, KEY, on_start=started.append).succeeded
    assert started == ["old 1", "new 2"]


def test_the_end_of_what_was_taken_over_is_kept_where_nobody_can_tell_whose_it_was() -> None:
    class Down(Scripted):
        def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
            if self.called("find"):
                raise OutageError("503")
            return super().find(job, task)

    runner = Down([found("1")], {"old 1": [GOING, cancelled()]}, interval=0.001)
    assert execute(JOB, runner, KEY).verdict is Verdict.CANCELLED
    assert not runner.called("submit")


@pytest.mark.parametrize("number", ["2", "3"])
def test_an_own_attempt_that_is_cancelled_by_others_stays_so(number: str) -> None:
    """Whether the environment still knows it or not."""
    runner = Scripted(
        [found("2")] if number == "2" else [], {"old 2": [GOING, cancelled()], "new 3": [cancelled()]}, interval=0.001
    )
    assert execute(JOB, runner, RunKey("p/r/t", number)).verdict is Verdict.CANCELLED
    assert len(runner.called("submit")) == (number == "3")


def test_nothing_is_started_beside_an_attempt_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute_module, "_STOPPING_SECONDS", 0.0)
    runner = Scripted([found("1", STOPPING)], {"old 1": [STOPPING]})
    with pytest.raises(
        OutageError, match=r"attempt 1 is being stopped and has not ended \(old 1\); nothing was started"
    ):
        start(JOB, runner, KEY)
    runner = Scripted([found("1")], {"old 1": [GOING]})
    with pytest.raises(OutageError, match="has not ended"):
        start(JOB, runner, KEY, OlderAttempt.CANCEL)
    assert not runner.called("submit")


def test_waiting_for_an_attempt_that_is_being_stopped_can_be_stopped() -> None:
    class Detached(Scripted):
        detached = True

    runner = Detached([found("1", STOPPING)], {"old 1": [STOPPING]}, interval=0.001)
    asked = iter(range(1000))
    outcome = execute(JOB, runner, KEY, stop=lambda: next(asked) > 3)
    assert outcome.verdict is Verdict.CANCELLED
    assert not runner.called("submit")


def test_an_own_run_that_was_deleted_after_its_end_is_not_taken_back() -> None:
    runner = Scripted([found("2", DONE)], {"old 2": [Status(Outcome(Verdict.LOST, reason="deleted"))]})
    assert start(JOB, runner, KEY) == "new 2"


# wait


def waiting(runner: Scripted, **keywords: Any) -> tuple[Outcome, Clock]:
    clock = Clock()
    runner.sleep = clock.sleep
    return wait(runner, "h", clock=clock, **keywords), clock


def test_waiting_polls_until_the_end_at_the_pace_of_the_runner() -> None:
    outcome, clock = waiting(Scripted(script={"h": [GOING, GOING, DONE]}, interval=7))
    assert outcome.succeeded
    assert clock.slept == [7, 7]
    _, clock = waiting(Scripted(script={"h": [GOING, DONE]}), interval=2)
    assert clock.slept == [2]


def test_what_has_ended_is_not_waited_for() -> None:
    outcome, clock = waiting(Scripted(), timeout=0, stop=lambda: True)
    assert (outcome.verdict, clock.slept) == (Verdict.SUCCEEDED, [])


def test_a_time_out_cancels_and_fails() -> None:
    runner = Scripted(script={"h": [GOING]}, after_cancel={"h": cancelled(exit_code=-15, tail="x")})
    outcome, clock = waiting(runner, timeout=12)
    assert outcome == Outcome(Verdict.FAILED, -15, "stopped after its time-out of 12 s", tail="x", stopped=True)
    assert clock.slept == [5, 5, 2]
    assert runner.called("cancel") == [("cancel", "h")]


@pytest.mark.parametrize("verdict", [Verdict.SUCCEEDED, Verdict.NOT_READY])
@pytest.mark.parametrize("keywords", [{"timeout": 1}, {"stop": lambda: True}])
def test_what_ended_by_itself_while_it_was_stopped_keeps_its_true_end(
    verdict: Verdict, keywords: dict[str, Any]
) -> None:
    runner = Scripted(script={"h": [GOING]}, after_cancel={"h": Status(Outcome(verdict, 0, "true"))})
    assert waiting(runner, **keywords)[0] == Outcome(verdict, 0, "true")


def test_a_stop_cancels() -> None:
    answers = iter([False, True])
    runner = Scripted(script={"h": [GOING]}, after_cancel={"h": cancelled()})
    outcome, clock = waiting(runner, stop=lambda: next(answers))
    assert (outcome.verdict, outcome.reason) == (Verdict.CANCELLED, "cancelled")
    assert clock.slept == [5]


def test_an_end_that_is_not_confirmed_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Scripted(script={"h": [GOING]})
    assert cancel_and_settle(runner, "h", seconds=0) is None
    assert runner.called("cancel") == [("cancel", "h")]


def test_an_environment_that_cannot_be_asked_cancels_nothing() -> None:
    def broken(seconds: float) -> None:
        raise RunnerError("no permission")

    runner = Scripted(script={"h": [GOING]}, sleep=broken)
    with pytest.raises(RunnerError):
        wait(runner, "h", clock=Clock())
    assert runner.called("cancel") == []


def test_an_interrupt_may_leave_the_attempt_to_be_found_again() -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    runner = Scripted(script={"h": [GOING]}, sleep=interrupt)
    with pytest.raises(KeyboardInterrupt):
        wait(runner, "h", cancel_on_interrupt=False, clock=Clock())
    assert runner.called("cancel") == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_cancels_and_goes_on(error: type[BaseException]) -> None:
    def interrupt(seconds: float) -> None:
        raise error

    runner = Scripted(script={"h": [GOING]}, sleep=interrupt)
    with pytest.raises(error):
        wait(runner, "h", clock=Clock())
    assert runner.called("cancel") == [("cancel", "h")]


def test_an_interrupt_goes_on_where_nothing_can_be_cancelled() -> None:
    class Unreachable(Scripted):
        def cancel(self, handle: str) -> None:
            raise OutageError("the service does not answer")

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wait(Unreachable(script={"h": [GOING]}, sleep=interrupt), "h", clock=Clock())


def test_every_line_is_forwarded_once() -> None:
    lines: list[str] = []
    runner = Scripted(script={"h": [GOING, GOING, DONE]}, lines=["a"])
    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        runner.lines.append(f"at {clock.now:g}")

    runner.sleep = sleep
    wait(runner, "h", on_line=lines.append, clock=clock)
    assert lines == ["a", "at 5", "at 10"]


def test_a_log_that_cannot_be_read_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    outcome, _ = waiting(Scripted(log_error=True), on_line=print)
    assert outcome.succeeded
    assert "cannot be read now: no log" in caplog.text


def test_an_error_of_a_callback_is_reported_once_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str] = []

    def on_line(line: str) -> None:
        heard.append(line)
        len(3)  # type: ignore[arg-type]

    runner = Scripted(script={"new 2": [GOING, DONE]}, lines=["a", "b"], sleep=lambda seconds: None)
    assert execute(JOB, runner, KEY, on_line=on_line).succeeded
    assert heard == ["a", "b"]
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]  # the command line shows it
    assert "on_line raised TypeError: object of type 'int' has no len()" in record.getMessage()
    assert record.exc_info


def test_a_runner_that_is_told_of_the_end_is_not_slept_for() -> None:
    runner = Scripted(script={"h": [GOING, DONE]})
    told: list[Any] = []
    runner.wait = lambda handles, seconds: told.append((list(handles), seconds))  # type: ignore[method-assign]
    outcome, clock = waiting(runner, timeout=3)
    assert outcome.succeeded
    assert (told, clock.slept) == ([(["h"], 3)], [])


# finish and execute


def test_a_failure_gets_the_end_of_its_output() -> None:
    runner = Scripted(lines=[f"line {i}" for i in range(100)])
    outcome = finish(runner, "h", Outcome(Verdict.FAILED, 1, "exit code 1"))
    assert outcome.tail.splitlines()[-1] == "line 99"
    assert 5 <= len(outcome.tail.splitlines()) <= 50
    assert outcome.reason == "exit code 1"
    kept = Outcome(Verdict.FAILED, 1, tail="own")
    assert finish(runner, "h", kept).tail == "own"


@pytest.mark.parametrize("verdict", [Verdict.SUCCEEDED, Verdict.NOT_READY])
def test_no_output_is_read_for_what_did_not_fail(verdict: Verdict) -> None:
    outcome = Outcome(verdict, 0)
    assert finish(Scripted(log_error=True), "h", outcome) is outcome


def test_execute_is_the_three_in_a_row() -> None:
    runner = Scripted(script={"new 2": [Status(Outcome(Verdict.FAILED, 3))]}, lines=["why"])
    lines: list[str] = []
    assert execute(JOB, runner, KEY, on_line=lines.append) == Outcome(Verdict.FAILED, 3, tail="why")
    assert lines == ["why"]
    adopting = Scripted([found("1")], {"old 1": [DONE]})
    assert execute(JOB, adopting, KEY).succeeded
    assert not adopting.called("submit")


# one runner per endpoint


def environment(make: Callable[[Job], Any]) -> Any:
    return SimpleNamespace(
        name="fake", sl_create_job=hookimpl(lambda command, options: None), sl_create_runner=hookimpl(make)
    )


def test_jobs_with_one_endpoint_share_a_runner() -> None:
    plugins = select(None, environment(lambda job: Scripted()))
    a, b, c = (runner_for(Job("fake", (str(i),), endpoint=endpoint), plugins) for i, endpoint in enumerate("aab"))
    assert a is b
    assert a is not c
    assert runner_for(Job("fake", endpoint="a"), select(None, environment(lambda job: Scripted()))) is not a


@pytest.mark.parametrize("method", ["find", "submit"])
@pytest.mark.parametrize(("raised", "passes"), [(TypeError("a bug"), False), (ValueError("half an answer"), True)])
def test_a_runner_that_raises_is_named_with_its_plugin(method: str, raised: Exception, passes: bool) -> None:
    def fail(*arguments: Any) -> Any:
        raise raised

    runner = runner_for(JOB, select(None, environment(lambda job: Scripted())))
    setattr(runner, method, fail)
    told = rf"^environment 'fake' failed in Scripted\.{method}: {type(raised).__name__}: .*tests/test_runtime\.py, line"
    with pytest.raises(PluginFailedError, match=told) as caught:
        execute(JOB, runner, RunKey("t", "1"))
    assert may_pass(caught.value) is passes
    assert caught.value.__cause__ is raised


def test_a_shortage_of_the_machine_is_not_blamed_on_the_plugin() -> None:
    def fail(*arguments: Any) -> Any:
        raise BlockingIOError("too many processes")

    runner = runner_for(JOB, select(None, environment(lambda job: Scripted())))
    runner.submit = fail  # type: ignore[method-assign]
    with pytest.raises(BlockingIOError):
        execute(JOB, runner, RunKey("t", "1"))


def test_an_addon_that_is_named_in_the_job_may_serve_an_environment_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "query_plugin.py").write_text(
        "from starlake_core import hookimpl\n"
        "from starlake_core.runtime import ProcessRunner\n"
        "@hookimpl\n"
        "def sl_create_runner(job):\n"
        "    return ProcessRunner(lambda job: job.arguments) if job.environment == 'query' else None\n"
    )
    (tmp_path / "silent_plugin.py").write_text("needs_hooks = '1.0'\n")
    info = tmp_path / "acme_query-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-query\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[starlake_core.addons]\nquery = query_plugin\nsilent = silent_plugin\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins.rescan()
    try:
        assert isinstance(runner_for(Job("query", plugins=("query",))), ProcessRunner)
        with pytest.raises(PluginContractError, match=r"add-on 'query' \(acme-query 1\.0\) returned None"):
            runner_for(Job("queri", plugins=("query",)))
        with pytest.raises(PluginNotFoundError, match=r"no environment 'queri'"):
            runner_for(Job("queri", plugins=("silent",)))
    finally:
        plugins.rescan()


@pytest.mark.parametrize("labelled", [True, False])
def test_labels_that_a_service_does_not_get_cause_a_warning(labelled: bool, caplog: pytest.LogCaptureFixture) -> None:
    runner = Scripted()
    runner.labelled = labelled
    execute(replace(JOB, labels={"cost": "sales"}), runner, RunKey("t", "1"), interval=0.001)
    told = f"t: the labels cost have no effect, because environment '{JOB.environment}' cannot label its jobs"
    assert (told in caplog.text) is not labelled


class Listener:
    """An add-on that hears of the ends of attempts."""

    name = "listener"

    def __init__(self, error: Exception | None = None) -> None:
        self.heard: list[tuple[str, str, str]] = []
        self.error = error

    @hookimpl
    def sl_task_ended(self, job: Job, key: RunKey, outcome: Outcome) -> None:
        self.heard.append((key.attempt, str(outcome.verdict), outcome.reason))
        if self.error is not None:
            raise self.error


def test_an_addon_hears_how_each_attempt_ended(caplog: pytest.LogCaptureFixture) -> None:
    for error in (None, ZeroDivisionError("a bug of the add-on")):
        listener = Listener(error)
        selected = select(None, environment(lambda job: Scripted()), [listener])
        runner = runner_for(JOB, selected)
        assert execute(JOB, runner, RunKey("t", "1"), interval=0.001).succeeded
        runner.submit = lambda job, key: 1 / 0  # type: ignore[method-assign, assignment, return-value]
        with pytest.raises(PluginFailedError):
            execute(JOB, runner, RunKey("t", "2"))
        assert [heard[:2] for heard in listener.heard] == [("1", "succeeded"), ("2", "failed")]
        assert "ZeroDivisionError" in listener.heard[1][2]
    assert "add-on 'listener' failed in sl_task_ended: ZeroDivisionError: a bug of the add-on" in caplog.text


def test_a_call_that_fails_for_a_passing_reason_is_repeated() -> None:
    left = [TimeoutError("503"), TimeoutError("503")]

    def call() -> str:
        if left:
            raise left.pop()
        return "done"

    with pausing(lambda: False):
        assert retrying(call, lambda error: isinstance(error, TimeoutError), "list") == "done"
    with pytest.raises(ZeroDivisionError):
        retrying(lambda: 1 / 0, lambda error: isinstance(error, TimeoutError), "list")


def test_a_call_that_goes_on_failing_is_an_outage() -> None:
    def call() -> str:
        raise TimeoutError("503")

    with pytest.raises(OutageError, match=r"the service does not answer \(list the jobs\): TimeoutError: 503"):
        retrying(call, lambda error: True, "list the jobs", seconds=0.0)


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("", "sales has no incoming files"),
        ("not ready", "sales has no incoming files"),
        ("the query has no row", "sales is not ready: the query has no row"),
        ("sales has no incoming files within 3 s", "sales has no incoming files within 3 s"),
    ],
)
def test_a_check_that_is_not_ready_shows_what_its_environment_says(reason: str, told: str) -> None:
    assert explain_not_ready("sales has no incoming files", Outcome(Verdict.NOT_READY, 0, reason)) == told


def test_a_job_without_a_command_line_is_shown_as_a_comment() -> None:
    runner = Scripted()
    assert runner.describe(Job("acme", ("load", "--token", "x"))) == "# in acme: starlake load --token ***"
    assert runner.describe(Job("acme")) == "# in acme: no Starlake command"


def test_a_runner_that_is_none_is_named() -> None:
    with pytest.raises(
        PluginContractError,
        match=r"environment 'fake' returned None from sl_create_runner; its class must inherit from starlake_core.runtime.Runner",
    ):
        runner_for(JOB, select(None, environment(lambda job: None)))
    alike = SimpleNamespace(find=print, submit=print, poll=print, cancel=print, logs=print)
    with pytest.raises(PluginContractError, match=r"must inherit from starlake_core.runtime.Runner"):
        runner_for(JOB, select(None, environment(lambda job: alike)))


class Half(Runner):
    """A runner without ``logs``."""

    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        return ()

    def submit(self, job: Job, key: RunKey) -> str:
        return key.name

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        return {}

    def cancel(self, handle: str) -> None: ...


def test_a_runner_that_lacks_a_method_is_named() -> None:
    made: Any = Half
    with pytest.raises(
        PluginFailedError, match=r"environment 'fake' failed in sl_create_runner: TypeError: .*'?logs'?"
    ):
        runner_for(JOB, select(None, environment(lambda job: made())))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("intervall", "interval"),  # codespell:ignore intervall
        ("detach", "detached"),
        ("follow", "follows"),
        ("consoleurl", "console_url"),
        ("console", "console_url"),
        ("Describe", "describe"),
        ("polls", "poll"),
        ("log", "logs"),
        ("find_", "find"),
    ],
)
def test_a_name_that_is_nearly_one_of_the_contract_is_refused(name: str, meant: str) -> None:
    with pytest.raises(PluginContractError, match=rf"Acme\.{name} .*'{meant}'"):
        type("Acme", (Runner,), {name: True})
    with pytest.raises(PluginContractError, match=rf"Acme\.{name} .*'{meant}'"):
        type("Acme", (Runner,), {"__annotations__": {name: "bool"}})

    class Late(Batch):
        def __init__(self) -> None:
            super().__init__()
            setattr(self, name, True)

    with pytest.raises(PluginContractError, match=rf"environment 'fake': .*Late\.{name} .*'{meant}'"):
        runner_for(JOB, select(None, environment(lambda job: Late())))


@pytest.mark.parametrize("name", ["client", "poller", "found", "waiting", "calls", "finder", "_intervall", "region"])
def test_names_of_its_own_are_left_to_a_runner(name: str) -> None:
    assert type("Acme", (Runner,), {name: True, "__annotations__": {name: "bool"}}).detached is False


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("detached", "yes", "True or False"),
        ("follows", 1, "True or False"),
        ("keyed", None, "True or False"),
        ("interval", 0, "more than 0"),
        ("interval", "5", "seconds"),
        ("interval", True, "seconds"),
        ("interval", float("nan"), "more than 0"),
    ],
)
def test_a_capability_has_a_value_of_its_type(name: str, value: object, wanted: str) -> None:
    with pytest.raises(PluginContractError, match=rf"Acme\.{name} is .*{wanted}"):
        type("Acme", (Runner,), {name: value})


def test_a_capability_may_be_a_property() -> None:
    assert type("Acme", (Runner,), {"detached": property(lambda self: True)}).__abstractmethods__


# batching


class Ticks:
    """Sleeps for the poller: every tick waits until the test allows it."""

    def __init__(self) -> None:
        self.allowed = threading.Semaphore(0)
        self.slept: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        assert self.allowed.acquire(timeout=PATIENCE)


class Batch(Runner):
    """Counts its polls; ends what it was told to end."""

    interval = 3.0

    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        return ()

    def submit(self, job: Job, key: RunKey) -> str:
        return key.name

    def cancel(self, handle: str) -> None:
        pass

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        return (), cursor

    def __init__(self) -> None:
        self.ended: dict[str, Outcome] = {}
        self.asked: list[list[str]] = []
        self.errors = 0

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        self.asked.append(sorted(handles))
        if self.errors:
            self.errors -= 1
            raise OSError("503")
        return {handle: Status(self.ended.get(handle)) for handle in handles}


def test_one_poll_a_tick_serves_everybody() -> None:
    runner, ticks = Batch(), Ticks()
    poller = BatchPoller(runner, sleep=ticks)  # type: ignore[arg-type]
    futures = {handle: poller.watch(handle) for handle in (f"h{i:04}" for i in range(1000))}
    twin = poller.watch("h0001")
    runner.ended = {handle: Outcome(Verdict.SUCCEEDED, 0) for handle in futures if handle != "h0500"}
    ticks.allowed.release(2)
    assert futures["h0999"].result(PATIENCE).succeeded
    runner.ended["h0500"] = Outcome(Verdict.LOST)
    ticks.allowed.release(1000)
    assert futures["h0500"].result(PATIENCE).verdict is Verdict.LOST
    assert all(future.done() for future in (*futures.values(), twin))
    assert len(runner.asked) < 1000
    assert max(len(asked) for asked in runner.asked) >= 500
    assert set(ticks.slept) == {3.0}


def test_an_outage_is_no_end_and_pauses_grow() -> None:
    runner, ticks = Batch(), Ticks()
    runner.errors, runner.ended = 8, {"h": Outcome(Verdict.SUCCEEDED, 0)}
    ticks.allowed.release(100)
    future = BatchPoller(runner, 1.0, sleep=ticks).watch("h")  # type: ignore[arg-type]
    assert future.result(PATIENCE).succeeded
    assert ticks.slept == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_who_comes_after_the_end_of_the_thread_starts_another() -> None:
    runner, ticks = Batch(), Ticks()
    ticks.allowed.release(1000)
    runner.ended = {"a": Outcome(Verdict.SUCCEEDED), "b": Outcome(Verdict.FAILED)}
    poller = BatchPoller(runner, 1.0, sleep=ticks)  # type: ignore[arg-type]
    assert poller.watch("a").result(PATIENCE).verdict is Verdict.SUCCEEDED
    assert poller.watch("b").result(PATIENCE).verdict is Verdict.FAILED


def test_what_is_forgotten_is_cancelled_and_not_polled() -> None:
    runner, ticks = Batch(), Ticks()
    poller = BatchPoller(runner, 1.0, sleep=ticks)  # type: ignore[arg-type]
    kept, dropped = poller.watch("kept"), poller.watch("dropped")
    poller.forget("dropped")
    poller.forget("never watched")
    with pytest.raises(CancelledError):
        dropped.result(PATIENCE)
    runner.ended["kept"] = Outcome(Verdict.SUCCEEDED)
    ticks.allowed.release(1000)
    assert kept.result(PATIENCE).succeeded
    assert runner.asked[-1] == ["kept"]


def test_one_who_stops_waiting_does_not_stop_the_others() -> None:
    runner, ticks = Batch(), Ticks()
    poller = BatchPoller(runner, 1.0, sleep=ticks)  # type: ignore[arg-type]
    other, mine = poller.watch("h"), poller.watch("h")
    mine.cancel()
    later = poller.watch("h")
    runner.ended["h"] = Outcome(Verdict.SUCCEEDED)
    ticks.allowed.release(1000)
    assert later.result(PATIENCE).succeeded
    assert other.result(PATIENCE).succeeded


def test_a_long_outage_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda args: over.set())
    runner = Batch()
    runner.errors, runner.ended = 1100, {"h": Outcome(Verdict.SUCCEEDED)}
    future = BatchPoller(runner, 1.0, sleep=lambda seconds: None).watch("h")  # type: ignore[arg-type]
    future.add_done_callback(lambda future: over.set())
    assert over.wait(PATIENCE)
    assert future.done()


def test_a_fault_of_the_program_about_one_attempt_is_told_and_holds_up_no_other() -> None:
    """A plugin that cannot read what a service says of one job, for as long as refusals are waited for."""

    class Faulty(Batch):
        def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
            if "odd" in handles:
                raise KeyError("state")
            return super().poll(handles)

    runner, now = Faulty(), [0.0]
    runner.ended = {handle: Outcome(Verdict.SUCCEEDED, 0) for handle in ("a", "b", "c")}

    def sleep(seconds: float) -> None:
        now[0] += seconds

    poller = BatchPoller(runner, 1.0, sleep=sleep, clock=lambda: now[0])  # type: ignore[arg-type]
    futures = {handle: poller.watch(handle) for handle in ("a", "odd", "b", "c")}
    with pytest.raises(
        RunnerError, match=r"has a bug; report it to its authors: .*Faulty failed in Faulty\.poll: KeyError: 'state'"
    ):
        futures.pop("odd").result(PATIENCE)
    assert now[0] >= poller_module.PATIENCE_SECONDS
    assert all(future.result(PATIENCE).succeeded for future in futures.values())


def test_a_runner_has_one_poller() -> None:
    one, other = Batch(), Batch()
    assert shared_poller(one) is shared_poller(one)  # type: ignore[arg-type]
    assert shared_poller(one) is not shared_poller(other)  # type: ignore[arg-type]


def test_a_poller_that_nobody_uses_keeps_no_runner() -> None:
    runner = Batch()
    runner.ended["a"] = Outcome(Verdict.SUCCEEDED)
    gone = weakref.ref(runner)
    shared_poller(runner).watch("a").result(PATIENCE)  # type: ignore[arg-type]
    del runner
    until(lambda: gone() is None, "the runner is forgotten")


class Service(Batch):
    """A service: attempts keep running without this process, and their output is read only after failures."""

    interval = 0.005
    detached = True
    follows = False

    def __init__(self) -> None:
        super().__init__()
        self.cancelled: list[str] = []

    def cancel(self, handle: str) -> None:
        self.cancelled.append(handle)
        self.ended[handle] = Outcome(Verdict.CANCELLED)

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        raise AssertionError("the output was read")

    def tail(self, handle: str, count: int) -> Sequence[str]:
        return [f"the end of {handle}", f"{count} lines at most"]


def test_those_who_wait_for_a_service_share_one_poll() -> None:
    runner = Service()
    handles = [f"h{number:02}" for number in range(20)]
    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(wait, runner, handle, on_line=lambda line: None) for handle in handles]  # type: ignore[arg-type]
        until(lambda: handles in runner.asked, "one poll asks for all")
        runner.ended = {handle: Outcome(Verdict.SUCCEEDED, 0) for handle in handles}
        assert all(future.result(PATIENCE).succeeded for future in waiting)


def test_a_stop_and_a_time_out_of_an_attempt_in_a_service() -> None:
    runner = Service()
    assert wait(runner, "stopped", stop=lambda: True).verdict is Verdict.CANCELLED  # type: ignore[arg-type]
    outcome = wait(runner, "late", timeout=0.0)  # type: ignore[arg-type]
    assert (outcome.verdict, outcome.reason) == (Verdict.FAILED, "stopped after its time-out of 0 s")
    assert runner.cancelled == ["stopped", "late"]


def test_a_refusal_that_lasts_is_an_error_for_those_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    class Denied(Service):
        def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
            raise RunnerError("grant roles/run.viewer")

    monkeypatch.setattr(poller_module, "PATIENCE_SECONDS", 0.05)
    with pytest.raises(RunnerError, match="grant roles"):
        wait(Denied(), "h")  # type: ignore[arg-type]


def test_only_the_end_of_a_failure_is_read_where_reading_is_dear() -> None:
    failed = Outcome(Verdict.FAILED, 3)
    assert finish(Service(), "h", failed).tail == "the end of h\n20 lines at most"  # type: ignore[arg-type]


# polls that fail


def refused(text: str = "403") -> Status:
    return Status(error=RunnerError(text))


@pytest.mark.parametrize("error", [RunnerError("403"), RunnerError("404"), OutageError("503")])
@pytest.mark.parametrize("raised", [False, True], ids=["told", "raised"])
def test_a_poll_that_fails_passes(error: Exception, raised: bool) -> None:
    class Failing(Scripted):
        def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
            told = super().poll(handles)
            for status in told.values():
                if raised and status.error is not None:
                    raise status.error
            return told

    script = [GOING, Status(error=error), Status(error=error), DONE]  # type: ignore[arg-type]
    runner = Failing(script={"h": list(script)})
    assert waiting(runner)[0].succeeded
    assert not runner.called("cancel")
    runner = Failing(script={"h": list(script)}, interval=0.001)
    assert watch(runner, "h", PATIENCE)[0] == DONE.outcome


def test_a_refusal_is_told_when_it_has_lasted_for_its_time() -> None:
    clock = Clock()
    runner = Scripted(script={"h": [GOING, refused()]}, interval=60, sleep=clock.sleep)
    with pytest.raises(RunnerError, match="403"):
        wait(runner, "h", clock=clock)
    assert clock.now == 660


def test_refusals_with_an_answer_between_them_do_not_add_up() -> None:
    clock = Clock()
    script = [GOING, *[refused()] * 9, GOING, *[refused()] * 9, Status(error=OutageError("503")), DONE]
    runner = Scripted(script={"h": script}, interval=60)
    runner.sleep = clock.sleep
    assert wait(runner, "h", clock=clock).succeeded


def test_a_refusal_about_one_is_no_end_of_the_wait_of_others() -> None:
    """One that is refused for longer than that passes is told to its own waiters only, whether the runner tells or raises."""

    class Half(Batch):
        raises = False

        def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
            if self.raises and "bad" in handles:
                raise RunnerError("403: bad")
            told = dict(super().poll(handles))
            return {**told, "bad": Status(error=RunnerError("403: bad"))} if "bad" in handles else told

    for raises in (False, True):
        now = [0.0]
        runner, ticks = Half(), Ticks()
        runner.raises = raises
        poller = BatchPoller(runner, 1.0, sleep=ticks, clock=lambda now=now: now[0])  # type: ignore[arg-type]
        bad, *good = (poller.watch(handle) for handle in ("bad", "a", "b", "c"))
        ticks.allowed.release(3)
        until(lambda poller=poller: poller.error("bad") is not None, "it was refused")  # type: ignore[misc]
        assert not bad.done()
        runner.ended = {handle: Outcome(Verdict.SUCCEEDED) for handle in ("a", "b", "c")}
        ticks.allowed.release(3)
        assert all(future.result(PATIENCE).succeeded for future in good)
        now[0] = poller_module.PATIENCE_SECONDS
        ticks.allowed.release(1000)
        with pytest.raises(RunnerError, match="403: bad"):
            bad.result(PATIENCE)


# cancels and stops


def test_those_who_wait_for_the_end_of_what_they_cancelled_share_their_polls() -> None:
    class Slow(Service):
        interval = 3600.0

        def cancel(self, handle: str) -> None:
            self.cancelled.append(handle)

    runner = Slow()
    handles = [f"h{number:02}" for number in range(20)]
    for handle in handles:
        shared_poller(runner).watch(handle)  # type: ignore[arg-type]
    with ThreadPoolExecutor(20) as pool:
        settling = [pool.submit(cancel_and_settle, runner, handle) for handle in handles]  # type: ignore[arg-type]
        until(lambda: len(runner.cancelled) == 20, "all are cancelled")
        runner.ended = {handle: Outcome(Verdict.CANCELLED) for handle in handles}
        assert [future.result(PATIENCE).verdict for future in settling] == [Verdict.CANCELLED] * 20  # type: ignore[union-attr]
    assert len(runner.asked) < 10


class Down(Service):
    """A service that never answers; its runner tries on and on."""

    def __init__(self, hangs: bool = False) -> None:
        super().__init__()
        self.hangs = threading.Event() if hangs else None
        self.tries = 0

    def _fail(self) -> None:
        if self.hangs is not None:
            self.tries += 1
            self.hangs.wait(PATIENCE)
        while pause(0.01):
            self.tries += 1
        raise OutageError("503")

    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        self._fail()
        return ()

    def submit(self, job: Job, key: RunKey) -> str:
        raise AssertionError("it was submitted after the stop")

    def cancel(self, handle: str) -> None:
        self._fail()


@pytest.mark.parametrize("hangs", [False, True], ids=["answers 503", "does not answer"])
def test_a_stop_does_not_wait_for_a_service_that_is_down(hangs: bool) -> None:
    runner = Down(hangs)
    try:
        outcome = execute(JOB, runner, KEY, stop=lambda: runner.tries > 0)  # type: ignore[arg-type]
        assert (outcome.verdict, outcome.reason[:34]) == (Verdict.CANCELLED, "cancelled while it was being start")
        outcome = wait(runner, "h", stop=lambda: True)  # type: ignore[arg-type]
        assert outcome.verdict is Verdict.CANCELLED
        assert "may keep running" in outcome.reason
    finally:
        if runner.hangs is not None:
            runner.hangs.set()


def test_a_run_whose_start_was_answered_after_the_stop_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(Service):
        answer = threading.Event()
        asked_for = threading.Event()

        def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
            return ()

        def submit(self, job: Job, key: RunKey) -> str:
            self.asked_for.set()
            assert self.answer.wait(PATIENCE)
            return "late"

    runner = Late()
    outcome = execute(JOB, runner, KEY, stop=runner.asked_for.is_set)  # type: ignore[arg-type]
    assert outcome.verdict is Verdict.CANCELLED
    runner.answer.set()
    until(lambda: runner.cancelled == ["late"], "what was started all the same is cancelled")


def test_a_pause_ends_with_the_stop_or_the_time_of_whoever_waits() -> None:
    assert pause(0.0)
    stopped = iter([False, False, True])
    with pausing(lambda: next(stopped)):
        assert not pause(PATIENCE)
    with pausing(None, 0.0):
        assert not pause(PATIENCE)
    assert pause(0.0), "it outlived its block"


# what a service and this machine share


def test_a_folder_of_this_machine_means_nothing_to_a_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SL_ROOT", raising=False)
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "application.sl.yml").touch()
    source = str(tmp_path / "p.py")
    assert in_project(Job("shell"), source).env == {"SL_ROOT": str(tmp_path)}
    assert in_project(Job("cloud_run", endpoint="projects/p"), source).env == {}


def test_the_marker_of_a_check_in_a_service() -> None:
    check = Job("fake", ("preload", "--domain", "d"), {"SL_ROOT": "gs://bucket/project/"}, check=True)
    marker, asked = remote_marker(check, KEY, "gs")
    assert marker == f"gs://bucket/project/.starlake-core/not-ready/{KEY.attempt_hash}"
    assert asked.arguments == (*check.arguments, "--notReadySentinel", marker)
    assert remote_marker(asked, RunKey("p/r/t", "3"), "gs") == (marker, asked)
    for other in (replace(check, check=False), replace(check, env={"SL_ROOT": "/project"}), replace(check, env={})):
        assert remote_marker(other, KEY, "gs") == (None, other)
    with pytest.raises(RunnerError, match=r"set pre_load_not_ready_sentinel_path to a folder such as s3://bucket"):
        remote_marker(asked, KEY, "s3")


# processes

SCRIPT = "import os, sys; sys.stdout.write(' '.join(os.fsencode(a).hex() or '-' for a in sys.argv[1:]) + '\\n')"


def runs(*vector: str, **keywords: Any) -> ProcessRunner:
    """A runner for jobs whose arguments follow a fixed vector."""
    return ProcessRunner(lambda job: (*vector, *job.arguments), **keywords)


def shell(script: str, **keywords: Any) -> tuple[Outcome, list[str]]:
    lines: list[str] = []
    job = Job("fake", ("-c", script), **keywords)
    return execute(job, runs("/bin/sh"), RunKey("p/r/t", "1"), on_line=lines.append, timeout=PATIENCE), lines


def until(condition: Callable[[], Any], what: str) -> None:
    """Waits for something that another process does; bounded."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, (what, threading.enumerate())
        threading.Event().wait(0.01)


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


ARGUMENTS = st.lists(
    st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20), max_size=6
)


@settings(max_examples=30)
@given(ARGUMENTS)
@example(
    [
        "",
        " ",
        "a b",
        "a,b",
        "\"'",
        "$HOME",
        "`x`",
        "$(x)",
        "\n",
        "é",
        "日本",
        "\\",
        "*",
        "--",
        "-c",
        "a=b",
        "🎂",
        "\r\n",
        "%s",
        "!x",
        "~",
        "${sl_ds}",
    ]
)
def test_arguments_arrive_unchanged(arguments: list[str]) -> None:
    lines: list[str] = []
    runner = runs(sys.executable, "-I", "-S", "-c", SCRIPT)
    outcome = execute(Job("fake", tuple(arguments)), runner, RunKey("p/r/t", "1"), on_line=lines.append)
    assert outcome.succeeded
    assert lines == [" ".join(os.fsencode(argument).hex() or "-" for argument in arguments)]


@pytest.mark.parametrize(
    ("script", "verdict", "code", "reason"),
    [
        ("exit 0", Verdict.SUCCEEDED, 0, ""),
        ("exit 1", Verdict.FAILED, 1, "exit code 1"),
        ("exit 126", Verdict.FAILED, 126, "cannot be executed"),
        ("exit 127", Verdict.FAILED, 127, "a program was not found"),
        ("kill -KILL $$", Verdict.FAILED, -9, "killed by SIGKILL; the machine may have been out of memory"),
        ("kill -SEGV $$", Verdict.FAILED, -11, "killed by SIGSEGV"),
    ],
)
def test_exit_codes_and_signals(script: str, verdict: Verdict, code: int, reason: str) -> None:
    outcome, _ = shell(script)
    assert (outcome.verdict, outcome.exit_code) == (verdict, code)
    assert reason in outcome.reason


def test_a_failure_shows_the_end_of_its_output_of_both_streams() -> None:
    outcome, lines = shell("for i in 1 2 3; do echo out$i; echo err$i >&2; done; printf last; exit 4")
    assert sorted(lines) == ["err1", "err2", "err3", "last", "out1", "out2", "out3"]
    assert outcome.tail.splitlines() == lines


def test_output_that_is_no_text_is_shown_anyway() -> None:
    _, lines = shell(r"printf 'a\377b\r\n\303\251\n'")
    assert lines == ["a\ufffdb", "é"]


def finished(runner: ProcessRunner, job: Job, attempt: str = "1") -> tuple[str, Outcome]:
    handle = runner.submit(job, RunKey("p/r/t", attempt))
    until(lambda: runner.poll([handle])[handle].ended, "the process ends")
    outcome = runner.poll([handle])[handle].outcome
    assert outcome is not None
    return handle, outcome


def test_output_is_kept_with_bounds() -> None:
    runner = runs("/bin/sh", "-c")
    handle, _ = finished(runner, Job("fake", ("i=0; while [ $i -lt 30000 ]; do i=$((i+1)); echo $i; done",)))
    lines, cursor = runner.logs(handle, None)
    assert lines[-1] == "30000"
    assert cursor == "30000"
    assert lines[0] == f"[{30_000 - (len(lines) - 1)} lines left out]"
    assert len(lines) < 30_000
    assert runner.logs(handle, cursor) == ([], cursor)
    assert runner.logs(handle, "29999") == (["30000"], "30000")


def test_a_line_without_an_end_is_kept_with_bounds() -> None:
    runner = runs("/bin/sh", "-c")
    handle, outcome = finished(runner, Job("fake", ("head -c 3000000 /dev/zero | tr '\\0' x",)))
    lines, _ = runner.logs(handle, None)
    assert outcome.succeeded
    assert set("".join(line for line in lines if "left out" not in line)) == {"x"}
    assert 1 < len(lines) <= 3_000_000 / 30_000
    assert max(map(len, lines)) <= 128 * 1024


def test_secrets_are_masked_in_the_output_and_in_the_tail() -> None:
    outcome, lines = shell("echo $DB_PASSWORD; echo see ftp://me:pw@host; exit 1", env={"DB_PASSWORD": "hunter22"})
    assert lines == ["***", "see ftp://***@host"]
    assert "hunter22" not in outcome.tail


def test_a_described_job_can_be_pasted_and_shows_no_secret(tmp_path: Path) -> None:
    job = Job(
        "fake",
        ("-c", 'echo "a  b\'" $X', "--accessToken", "hunter22"),
        {"SL_ROOT": str(tmp_path), "X": "y z", "API_KEY": "hunter22"},
    )
    line = runs("/bin/sh").describe(job)
    assert "hunter22" not in line
    assert line.startswith(f"cd {tmp_path} && ")
    assert subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=True).stdout == "a  b' y z\n"


def test_the_process_gets_the_environment_of_the_job_and_its_run_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOT_NAMED", "leaks")
    monkeypatch.setenv("SL_ENV", "outer")
    _, lines = shell(
        "pwd; echo $SL_RUN_KEY; echo [$NOT_NAMED]; echo $A $SL_ENV", env={"SL_ROOT": str(tmp_path), "A": "$HOME"}
    )
    assert lines == [str(tmp_path), "p/r/t", "[]", "$HOME outer"]


def test_what_of_the_worker_a_command_gets() -> None:
    environ = {"PATH": "/bin", "SL_X": "1", "SPARK_Y": "2", "LC_ALL": "C", "AWS": "3", "OTHER": "4"}
    assert set(worker_environment((), environ)) == {"PATH", "SL_X", "SPARK_Y", "LC_ALL"}
    assert set(worker_environment(["AWS"], environ)) == {"PATH", "SL_X", "SPARK_Y", "LC_ALL", "AWS"}
    assert worker_environment(["*"], environ) == worker_environment(["_"], environ) == environ


@pytest.mark.parametrize(
    ("text", "folder"),
    [("/a b", "/a b"), ("file:///a%20b", "/a b"), ("gs://b/x", None), ("", None), (None, None), ("rel", "rel")],
)
def test_which_folder_is_on_this_machine(text: str | None, folder: str | None) -> None:
    assert local_folder(text) == folder


def test_a_root_that_is_no_folder_is_named() -> None:
    with pytest.raises(RunnerError, match=r"SL_ROOT is '/no/such/folder'.*create it or set SL_ROOT"):
        shell("exit 0", env={"SL_ROOT": "/no/such/folder"})


def test_a_missing_program_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RunnerError) as caught:
        runs("no-such-program", missing="Install it.").submit(JOB, KEY)
    assert str(caught.value) == "the program 'no-such-program' was not found. Install it."
    file = tmp_path / "not-executable"
    file.write_text("x")
    with pytest.raises(RunnerError, match=r"cannot be started: .*Permission denied.*Install it"):
        runs(str(file), missing="Install it.").submit(JOB, KEY)


def test_a_vector_that_the_system_refuses_is_an_error() -> None:
    with pytest.raises(RunnerError, match="cannot be started"):
        runs("/bin/true").submit(Job("fake", ("a\0b",)), KEY)


def test_the_same_key_is_the_same_process(tmp_path: Path) -> None:
    runner = runs("/bin/sh", "-c")
    job = Job("fake", (f"echo x >> {tmp_path}/log",))
    handle, _ = finished(runner, job)
    assert runner.submit(job, RunKey("p/r/t", "1")) == handle
    assert finished(runner, job, "2")[0] != handle
    assert (tmp_path / "log").read_text() == "x\nx\n"
    assert runner.find(job, "p/r/t") == ()


def test_a_process_that_was_not_started_here_is_lost() -> None:
    runner = runs("/bin/true")
    assert runner.poll(["nobody"])["nobody"].outcome.verdict is Verdict.LOST  # type: ignore[union-attr]
    runner.cancel("nobody")
    runner.wait(["nobody"], PATIENCE)
    assert runner.logs("nobody", None) == ((), None)


# cancelling


def started(runner: ProcessRunner, script: str) -> tuple[str, list[int]]:
    """Submits a script that writes process ids, and waits for them."""
    handle = runner.submit(Job("fake", (script,)), RunKey("p/r/t", "1"))
    until(lambda: any(line.startswith("pids") for line in runner.logs(handle, None)[0]), "the script says its ids")
    (line,) = (line for line in runner.logs(handle, None)[0] if line.startswith("pids"))
    return handle, [int(word) for word in line.split()[1:]]


def test_a_cancel_ends_the_grandchildren_too() -> None:
    runner = runs("/bin/sh", "-c")
    handle, pids = started(runner, "sh -c 'sleep 300 & echo pids $$ $!; wait' & wait")
    assert all(map(alive, pids))
    runner.cancel(handle)
    runner.cancel(handle)
    until(lambda: runner.poll([handle])[handle].ended, "the process ends")
    outcome = runner.poll([handle])[handle].outcome
    assert outcome is not None
    assert (outcome.verdict, outcome.exit_code) == (Verdict.CANCELLED, -15)
    until(lambda: not any(map(alive, pids)), "the grandchildren end")
    runner.cancel(handle)
    assert runner.poll([handle])[handle].outcome == outcome


def test_a_cancel_becomes_a_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_KILL_SECONDS", 0.1)
    runner = runs("/bin/sh", "-c")
    handle, pids = started(runner, "trap '' TERM; echo pids $$; while :; do sleep 0.1; done")
    runner.cancel(handle)
    until(lambda: runner.poll([handle])[handle].ended, "the process ends")
    outcome = runner.poll([handle])[handle].outcome
    assert outcome is not None
    assert (outcome.verdict, outcome.exit_code) == (Verdict.CANCELLED, -9)
    assert not alive(pids[0])


def test_a_process_that_ends_well_when_it_is_cancelled_succeeded() -> None:
    runner = runs("/bin/sh", "-c")
    handle, _ = started(runner, "trap 'exit 0' TERM; echo pids $$; while :; do sleep 0.05; done")
    runner.cancel(handle)
    until(lambda: runner.poll([handle])[handle].ended, "the process ends")
    assert runner.poll([handle])[handle].outcome.verdict is Verdict.SUCCEEDED  # type: ignore[union-attr]


def test_what_a_process_leaves_running_ends_with_it() -> None:
    runner = runs("/bin/sh", "-c")
    handle, pids = started(runner, "sleep 300 & echo pids $!")
    until(lambda: runner.poll([handle])[handle].ended, "the process ends")
    assert runner.poll([handle])[handle].outcome.succeeded  # type: ignore[union-attr]
    until(lambda: not alive(pids[0]), "the child ends")


def test_a_time_out_kills() -> None:
    outcome = execute(Job("fake", ("sleep 300",)), runs("/bin/sh", "-c"), KEY, timeout=0.2)
    assert (outcome.verdict, outcome.reason) == (Verdict.FAILED, "stopped after its time-out of 0.2 s")


# sentinels


def check(script: str, *arguments: str, **keywords: Any) -> tuple[Outcome, ProcessRunner]:
    runner = runs("/bin/sh", "-c", script)
    job = Job("fake", ("preload", "--domain", "d", *arguments), check=True, **keywords)
    return finished(runner, job)[1], runner


MARK = 'while [ $# -gt 0 ]; do [ "$1" = --notReadySentinel ] && touch "${2#file://}"; shift; done;'


def test_a_marker_means_not_ready_and_is_consumed(tmp_path: Path) -> None:
    env = {"SL_ROOT": str(tmp_path)}
    assert check(f"{MARK} exit 0", env=env)[0].verdict is Verdict.NOT_READY
    assert check("exit 0", env=env)[0].verdict is Verdict.SUCCEEDED
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_with_a_marker_every_other_exit_is_a_failure(tmp_path: Path) -> None:
    outcome, _ = check("exit 1", env={"SL_ROOT": str(tmp_path)})
    assert (outcome.verdict, outcome.exit_code) == (Verdict.FAILED, 1)
    assert check(f"{MARK} exit 1", env={"SL_ROOT": str(tmp_path)})[0].verdict is Verdict.FAILED


def test_a_marker_may_be_named_and_an_old_one_does_not_count(tmp_path: Path) -> None:
    marker = tmp_path / "deep" / "marker"
    marker.parent.mkdir()
    marker.touch()
    assert check("exit 0", "--notReadySentinel", str(marker))[0].verdict is Verdict.SUCCEEDED
    assert not marker.exists()
    uri = f"file://{tmp_path}/other/marker"
    assert check(f"{MARK} exit 0", "--notReadySentinel", uri)[0].verdict is Verdict.NOT_READY
    assert (
        check(f"{MARK} exit 0", "--notReadySentinel", str(tmp_path / "new" / "marker"))[0].verdict is Verdict.NOT_READY
    )


def test_a_marker_elsewhere_cannot_be_read() -> None:
    with pytest.raises(RunnerError, match="pre_load_not_ready_sentinel_path is not on this machine"):
        check("exit 0", "--notReadySentinel", "gs://bucket/marker")


@pytest.mark.parametrize(("code", "verdict"), [(0, Verdict.SUCCEEDED), (1, Verdict.NOT_READY), (2, Verdict.FAILED)])
def test_without_a_marker_one_is_not_ready_with_a_warning(
    code: int, verdict: Verdict, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "starlake_core"):
        outcome, _ = check(f"exit {code}", spec={"sentinel": False})
    assert outcome.verdict is verdict
    assert ("without a marker" in caplog.text) == (verdict is Verdict.NOT_READY)


def test_what_is_no_check_is_never_not_ready() -> None:
    assert shell("exit 1")[0].verdict is Verdict.FAILED


# the watchdog

PARENT = """
import sys, time
from starlake_core import Job, RunKey
from starlake_core.runtime import ProcessRunner
runner = ProcessRunner(lambda job: ("/bin/sh", "-c", *job.arguments))
scripts = ["sleep 300 & echo pids $$ $!; wait", "setsid sleep 300 & echo pids $$ $!; wait"]
handles = [runner.submit(Job("x", (script,)), RunKey("t%d" % i, "1")) for i, script in enumerate(scripts)]
for handle in handles:
    while not runner.logs(handle, None)[0]:
        time.sleep(0.01)
    print(runner.logs(handle, None)[0][0], flush=True)
ENDING
"""


def parent(ending: str) -> tuple[subprocess.Popen[str], list[int]]:
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT.replace("ENDING", ending)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    pids = [int(word) for _ in range(2) for word in process.stdout.readline().split()[1:]]
    assert len(pids) == 4
    return process, pids


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")
@pytest.mark.parametrize("sign", [signal.SIGKILL, None])
def test_no_process_outlives_its_parent(sign: signal.Signals | None) -> None:
    process, pids = parent("time.sleep(300)" if sign else "pass")
    with process:
        if sign is not None:
            assert all(map(alive, pids))
            process.send_signal(sign)
        assert process.wait(PATIENCE) == (-sign if sign else 0)
    until(lambda: not any(map(alive, pids)), "the watchdog ends the processes")


def test_a_runner_leaves_no_threads_behind() -> None:
    runner = runs("/bin/sh", "-c")
    for attempt in ("1", "2", "3"):
        finished(runner, Job("fake", ("exit 0",)), attempt)
    until(
        lambda: (
            not [t for t in threading.enumerate() if t.name.startswith("starlake-") and t.name != "starlake-poller"]
        ),
        "threads end",
    )
    gc.collect()


class Refuses(Scripted):
    """Neither starts nor watches."""

    def submit(self, job: Job, key: RunKey) -> str:
        raise RunnerError("grant the role")


def _heard(runner: Runner) -> Listener:
    listener = Listener()
    label_runner(runner, "scripted", listener.sl_task_ended)
    return listener


def test_an_error_is_told_once_however_many_callers_tell_it() -> None:
    runner, key = Refuses(), RunKey("t", "1")
    listener = _heard(runner)
    with pytest.raises(RunnerError) as caught:
        execute(JOB, runner, key)
    tell_end(JOB, runner, key, caught.value)
    assert listener.heard == [("1", "failed", "grant the role")]
    tell_end(JOB, runner, replace(key, attempt="2"), caught.value)
    assert [heard[0] for heard in listener.heard] == ["1", "2"]


def test_an_interrupt_is_told_as_a_cancellation() -> None:
    runner = Scripted()
    listener = _heard(runner)

    def interrupt(handle: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(JOB, runner, RunKey("t", "1"), on_start=interrupt)
    assert listener.heard == [("1", "cancelled", "interrupted")]


def test_the_end_of_an_attempt_of_another_owner_is_not_told() -> None:
    """The attempt that had taken it over starts its own, and that one's end is told."""
    for attempt, told in (("1", []), ("2", [("2", "cancelled", "")])):
        runner = Scripted()
        listener = _heard(runner)
        runner.found = [AttemptInfo(attempt, "h", Status(Outcome(Verdict.CANCELLED)))]
        finish(runner, "h", Outcome(Verdict.CANCELLED), JOB, RunKey("t", "2"))
        assert listener.heard == told
