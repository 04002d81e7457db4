"""Which attempt an execution waits for; and what a user who stops a run in this process gets."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow_forks import Forks
from airflow_runs import draw
from starlake_core_airflow import attempts
from starlake_core_airflow.attempts import take, take_look

from starlake_core import Job, RunKey, RunnerError, StarlakePipeline, TaskEvent
from starlake_core.model.identity import digest_of
from starlake_core.runtime import AttemptInfo, Outcome, Runner, Status, Verdict

JOB = Job("cloud")
TRY_2 = RunKey("load/run/task", "2")


class Cloud(Runner):
    """A service in memory: attempts in the order in which they were submitted."""

    interval = 0.01
    detached = True

    def __init__(self, **attempts: Verdict | None) -> None:
        self.ends = {name.strip("_").replace("_", "."): verdict for name, verdict in attempts.items()}
        self.submitted: list[str] = []
        self.cancelled: list[str] = []

    def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
        return [AttemptInfo(name, name, self._status(name)) for name in self.ends]

    def submit(self, job: Job, key: RunKey) -> str:
        self.submitted.append(key.attempt)
        self.ends[key.attempt] = None
        return key.attempt

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        return {handle: self._status(handle) for handle in handles}

    def _status(self, name: str) -> Status:
        verdict = self.ends[name]
        return Status(None if verdict is None else Outcome(verdict))

    def cancel(self, handle: str) -> None:
        self.cancelled.append(handle)
        self.ends[handle] = Verdict.CANCELLED

    def logs(self, handle: str, cursor: str | None) -> tuple[Sequence[str], str | None]:
        return (), cursor


def bound(attempt: str) -> Job:
    return Job("cloud", ("preload", attempt))


def test_a_live_attempt_of_an_older_try_is_taken_over() -> None:
    cloud = Cloud(_1=None)
    assert take(JOB, cloud, TRY_2, cleared=0, again=False) == "1"
    assert not cloud.submitted


def test_an_ended_attempt_of_an_older_try_is_not_taken_for_ones_own() -> None:
    cloud = Cloud(_1=Verdict.SUCCEEDED)
    assert take(JOB, cloud, TRY_2, cleared=0, again=False) == "2"


def test_what_a_try_took_over_is_its_own_though_it_ended_between_two_polls() -> None:
    cloud = Cloud(_1=Verdict.SUCCEEDED)
    assert take(JOB, cloud, TRY_2, cleared=0, again=True) == "1"
    assert not cloud.submitted, "the job was doubled"


def test_an_own_attempt_is_taken_back() -> None:
    cloud = Cloud(_1=Verdict.FAILED, _2=Verdict.SUCCEEDED)
    assert take(JOB, cloud, TRY_2, cleared=0, again=True) == "2"
    assert not cloud.submitted


def test_after_a_clear_the_old_work_is_stopped_and_done_again() -> None:
    cloud = Cloud(_1=None)
    assert take(JOB, cloud, TRY_2, cleared=1, again=False) == "2"
    assert (cloud.cancelled, cloud.submitted) == (["1"], ["2"])


def test_a_retry_after_a_clear_takes_over_what_began_since() -> None:
    cloud = Cloud(_1=Verdict.SUCCEEDED, _2=None)
    assert take(JOB, cloud, RunKey(TRY_2.task, "3"), cleared=1, again=False) == "2"
    assert not cloud.submitted


def test_a_look_that_goes_on_is_waited_for_with_its_own_deadline() -> None:
    cloud = Cloud(_2_1000=None)
    look = take_look(bound, cloud, TRY_2, cleared=0, again=False)
    assert (look.handle, look.key.attempt, look.began) == ("2.1000", "2.1000", 1.0)
    assert not cloud.submitted


@pytest.mark.parametrize("verdict", [Verdict.SUCCEEDED, Verdict.FAILED])
def test_a_look_that_has_an_answer_is_not_asked_again(verdict: Verdict) -> None:
    cloud = Cloud(_2_1000=verdict)
    assert take_look(bound, cloud, TRY_2, cleared=0, again=False).handle == "2.1000"
    assert not cloud.submitted


def test_a_look_that_found_nothing_is_followed_by_another() -> None:
    cloud = Cloud(_2_1000=Verdict.NOT_READY)
    look = take_look(bound, cloud, TRY_2, cleared=0, again=False)
    assert cloud.submitted == [look.key.attempt]
    assert look.job.arguments == ("preload", look.key.attempt), "the job is bound to another attempt than its own"


def test_a_look_of_an_older_try_is_taken_over_only_while_it_goes_on() -> None:
    assert take_look(bound, Cloud(_1_1000=None), TRY_2, cleared=0, again=False).handle == "1.1000"
    ended = Cloud(_1_1000=Verdict.SUCCEEDED)
    assert take_look(bound, ended, TRY_2, cleared=0, again=False).handle == ended.submitted[0]


def test_a_look_that_was_taken_over_counts_though_it_ended_between_two_polls() -> None:
    """An acknowledgement file is gone after the look that found it: asking again would find none."""
    cloud = Cloud(_1_1000=Verdict.SUCCEEDED)
    assert take_look(bound, cloud, TRY_2, cleared=0, again=True).handle == "1.1000"
    assert not cloud.submitted


class Ending(Cloud):
    """A service in which what is cancelled takes a few polls to end."""

    def __init__(self, polls: int = 3, **attempts: Verdict | None) -> None:
        super().__init__(**attempts)
        self.left = dict.fromkeys(self.ends, polls)
        self.stopping: set[str] = set()

    def poll(self, handles: Sequence[str]) -> Mapping[str, Status]:
        for handle in self.stopping & set(handles):
            self.left[handle] -= 1
            if self.left[handle] <= 0:
                self.ends[handle] = Verdict.CANCELLED
        return super().poll(handles)

    def _status(self, name: str) -> Status:
        status = super()._status(name)
        return status if status.ended or name not in self.stopping else Status(stopping=True)

    def cancel(self, handle: str) -> None:
        self.cancelled.append(handle)
        self.stopping.add(handle)

    def submit(self, job: Job, key: RunKey) -> str:
        assert all(self.ends[handle] is not None for handle in self.stopping), "it was started beside one that stops"
        return super().submit(job, key)


@pytest.mark.parametrize("again", [False, True])
def test_an_attempt_that_is_being_stopped_is_waited_for_and_not_taken_over(again: bool) -> None:
    cloud = Ending(_1=None)
    cloud.stopping.add("1")
    if again:  # it took over the older one, and runs itself when that is found cancelled
        assert take(JOB, cloud, TRY_2, cleared=0, again=True) == "1"
        return
    assert take(JOB, cloud, TRY_2, cleared=0, again=False) == "2"
    assert not cloud.cancelled


def test_after_a_clear_the_old_work_has_ended_before_it_is_done_again() -> None:
    cloud = Ending(_1=None)
    assert take(JOB, cloud, TRY_2, cleared=1, again=False) == "2"
    assert cloud.cancelled == ["1"]


@pytest.mark.parametrize("attempt", ["_1_1000", "_2_1000"])
def test_a_look_that_is_being_stopped_is_waited_for_and_followed_by_another(attempt: str) -> None:
    cloud = Ending(**{attempt: None})
    cloud.stopping.add(attempt.strip("_").replace("_", "."))
    look = take_look(bound, cloud, TRY_2, cleared=0, again=False)
    assert cloud.submitted == [look.handle]


def test_a_look_that_was_found_ended_is_asked_how() -> None:
    """What is found may say only that it has ended: an environment need not look for the markers of all that it knows."""

    class Rough(Cloud):
        def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
            return [AttemptInfo(name, name, Status(Outcome(Verdict.SUCCEEDED))) for name in self.ends]

    cloud = Rough(_2_1000=Verdict.NOT_READY)
    assert take_look(bound, cloud, TRY_2, cleared=0, again=True).handle == cloud.submitted[0]
    cloud = Rough(_2_1000=Verdict.SUCCEEDED)
    assert take_look(bound, cloud, TRY_2, cleared=0, again=True).handle == "2.1000"


@pytest.mark.parametrize("verdict", [None, Verdict.SUCCEEDED])
def test_other_work_under_the_same_name_is_refused_on_every_way(verdict: Verdict | None) -> None:
    class Other(Cloud):
        def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
            return [replace(found, digest=digest_of("cloud", ["stage"], {})) for found in super().find(job, task)]

    def work(attempt: str) -> Job:
        return replace(bound(attempt), digest=digest_of("cloud", ["preload"], {}))

    with pytest.raises(RunnerError, match="other arguments"):
        take_look(work, Other(_2_1000=verdict), TRY_2, cleared=0, again=True)
    with pytest.raises(RunnerError, match="other arguments"):
        take(work("2"), Other(_1=verdict), TRY_2, cleared=0, again=True)


def test_a_refusal_passes_while_an_attempt_runs_and_is_final_before(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(Cloud):
        refusals = 3

        def find(self, job: Job, task: str) -> Sequence[AttemptInfo]:
            if self.refusals:
                self.refusals -= 1
                raise RunnerError("403")
            return super().find(job, task)

    monkeypatch.setattr(attempts, "_FIRST_PAUSE", 0.001)
    assert take(JOB, Refusing(_2=None), TRY_2, cleared=0, again=True) == "2"
    with pytest.raises(RunnerError):
        take(JOB, Refusing(_1=None), TRY_2, cleared=0, again=False)


def stopped(root: Path, between: bool) -> bool:
    """A run that an interrupt stops when its first task has begun, or before, between the operators; what it says is in the file ``report``."""
    # Who runs the tests in the background of a shell hands on that interrupts are ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def build(pipeline: StarlakePipeline) -> None:
        first = pipeline.sl_transform("first", "kpi.first")
        pipeline.start_task() >> first >> pipeline.sl_transform("second", "kpi.second") >> pipeline.end_task()

    pipeline = draw(root, build, {"SL_STARLAKE_PATH": str(root / "starlake"), "retries": 3})

    def on_event(event: TaskEvent) -> None:
        if event.line == "begun":
            os.kill(os.getpid(), signal.SIGINT)

    if between:
        first = pipeline.native.task_dict["first"]
        render = first.render_template_fields

        def interrupted(*args: Any, **more: Any) -> Any:
            os.kill(os.getpid(), signal.SIGINT)
            return render(*args, **more)

        type(first).render_template_fields = interrupted
    report = pipeline.run(listener=on_event)
    told = " ".join([report.state, *(f"{task.id}={task.state}" for task in report.tasks)])
    (root / "report").write_text(told, encoding="utf-8")
    return True


@pytest.mark.parametrize("between", [False, True], ids=["in a task", "between"])
def test_an_interrupt_stops_a_run_in_this_process(tmp_path: Path, between: bool) -> None:
    """It is not a failed try that is tried again, and nothing begins any more."""
    program = tmp_path / "starlake"
    program.write_text('#!/bin/sh\necho "$@" >> calls\necho begun\nexec sleep 600\n', encoding="utf-8")
    program.chmod(0o755)
    assert Forks(tmp_path / "warm").run(lambda: stopped(tmp_path, between))
    report = (tmp_path / "report").read_text()
    assert report == "cancelled start=success first=cancelled second=cancelled end=cancelled"
    calls = (tmp_path / "calls").read_text().splitlines() if (tmp_path / "calls").exists() else []
    assert len(calls) == (not between), "the task was tried again, or another one began"
