"""No run twice and no run lost: what a submission does when answers are lost, lists lag and others submit too."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cloud_run_lab import IMPATIENT, KEY, QUICK, CarelessRunner, ends, run_outside
from emulators.faults import Fault, Kind, When
from google.cloud import run_v2
from starlake_core_cloud_run import history

from starlake_core import OutageError, RunKey
from starlake_core.runtime import OlderAttempt, Verdict, start, wait
from starlake_core.testing.lab import until

if TYPE_CHECKING:
    from cloud_run_lab import MakeJob, MakeRunner
    from emulators.cloud_run import CloudRun

NO_ANSWER = [Fault(Kind.UNAVAILABLE, When.AFTER), Fault(Kind.LOST, When.AFTER)]
NOTHING_DONE = [Fault(Kind.UNAVAILABLE), Fault(Kind.LOST)]


def test_what_runs_is_what_was_submitted(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    made = job({"A": "a b", "B": "$(x)\n'\""})
    handle = runner().submit(made, KEY)
    assert wait(runner(), handle).verdict is Verdict.SUCCEEDED
    (container,) = emulator.containers.all
    assert container.arguments == made.arguments
    expected = {**made.env, "SL_RUN_KEY": KEY.work, "SL_RUN_TASK": KEY.task, "SL_RUN_ATTEMPT": KEY.attempt}
    assert expected.items() <= container.env.items()


@pytest.mark.parametrize("fault", NO_ANSWER, ids=str)
def test_an_answer_that_is_lost_is_no_second_run(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner, fault: Fault
) -> None:
    emulator.faults.plan("RunJob", fault)
    made = runner()
    handle = made.submit(job(), KEY)
    assert wait(made, handle).verdict is Verdict.SUCCEEDED
    assert [told.name for told in emulator.executions()] == [handle]
    assert emulator.faults.calls["RunJob"] == 1


@pytest.mark.parametrize("fault", NOTHING_DONE, ids=str)
def test_a_submission_that_did_nothing_is_made_again(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner, fault: Fault
) -> None:
    emulator.faults.plan("RunJob", fault, fault)
    made = runner()
    handle = made.submit(job(), KEY)
    assert wait(made, handle).verdict is Verdict.SUCCEEDED
    assert [told.name for told in emulator.executions()] == [handle]
    assert emulator.faults.calls["RunJob"] == 3


def test_a_throttled_submission_is_made_again_without_a_look(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner
) -> None:
    emulator.faults.plan("RunJob", Fault(Kind.THROTTLED), Fault(Kind.THROTTLED))
    runner().submit(job(), KEY)
    assert emulator.faults.calls == {"ListExecutions": 2, "RunJob": 3}


def test_a_list_that_lags_behind_is_waited_for(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    emulator.lag = 0.5
    emulator.faults.plan("RunJob", Fault(Kind.LOST, When.AFTER))
    made = runner(cloud_run_list_lag=1)
    handle = made.submit(job(), KEY)
    assert [told.name for told in emulator.executions()] == [handle]


def test_looks_switched_off_double_runs(emulator: CloudRun, job: MakeJob) -> None:
    """The negative control: without the looks the faults of these tests do harm."""
    emulator.faults.plan("RunJob", Fault(Kind.UNAVAILABLE, When.AFTER))
    CarelessRunner(job().spec, QUICK).submit(job(), KEY)
    assert ends(emulator) == ["succeeded", "succeeded"]


def test_an_outage_of_submissions_is_a_failed_attempt(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    emulator.faults.at_random(1.0, [Fault(Kind.UNAVAILABLE)], 1, spared=["ListExecutions"])
    with pytest.raises(OutageError, match=r"starting job starlake: 503.* no execution was started in 0[.]2 s"):
        runner(IMPATIENT).submit(job(), KEY)
    assert emulator.executions() == []


def test_an_outage_of_lists_starts_nothing(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    emulator.faults.at_random(1.0, [Fault(Kind.UNAVAILABLE)], 1, spared=["RunJob"])
    with pytest.raises(OutageError, match="Cloud Run did not answer for"):
        runner(IMPATIENT).submit(job(), KEY)
    assert emulator.executions() == []


def test_of_two_who_submit_at_once_one_run_survives(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner, tmp_path: Path
) -> None:
    """Both look before, both find nothing, both submit: the older execution goes on."""
    gate = tmp_path / "gate"
    runners = [runner(), runner()]
    meet = threading.Barrier(2)
    for number in range(10):
        key = RunKey(f"sales/run-{number}/load.orders", "1")
        made = job({"WAITS_FOR": str(gate)})

        def submit(one: Any, key: RunKey = key, made: Any = made) -> Any:
            one.find(made, key.task)  # who has looked just now does not look again
            meet.wait()
            return one.submit(made, key)

        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(submit, runners)
        assert first == second
    gate.touch()
    found = ends(emulator)
    assert found.count("succeeded") == 10
    assert found.count("cancelled") == len(found) - 10


def test_a_double_that_was_left_behind_is_stopped(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner, tmp_path: Path
) -> None:
    """A process submitted twice and died before it could look: whoever looks next cleans up."""
    made = job({"WAITS_FOR": str(tmp_path / "gate")})
    older, younger = (run_outside(runner(), made, KEY) for _ in range(2))
    (found,) = runner().find(made, KEY.task)
    assert found.handle == older
    assert not found.status.ended
    until(lambda: bool(emulator.executions()[1].completion_time), "the younger one has ended")
    assert runner().submit(made, KEY) == older
    (tmp_path / "gate").touch()
    assert ends(emulator) == ["succeeded", "cancelled"]
    assert wait(runner(), younger).succeeded, "whoever waits for the double is told of the one that went on"


def test_a_double_that_the_list_did_not_show_is_stopped_when_it_does(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner, tmp_path: Path
) -> None:
    """A process dies after it submitted, and the same attempt starts again while the list still lags: the younger one is stopped, and
    whoever waits for it is told how the older one ends."""
    made = job({"WAITS_FOR": str(tmp_path / "gate")})
    emulator.lag = 0.4
    older = run_outside(runner(), made, KEY)
    again = runner(cloud_run_list_lag=0.5)
    younger = start(made, again, KEY)
    assert younger != older
    until(lambda: bool(emulator.executions()[1].completion_time), "the younger one has ended")
    assert not emulator.executions()[0].completion_time
    (tmp_path / "gate").touch()
    assert wait(again, younger).succeeded
    assert ends(emulator) == ["succeeded", "cancelled"]
    assert wait(runner(), younger).succeeded, "another process, which never knew of the older one"


def test_a_double_that_another_process_waits_for_is_stopped_too(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner, tmp_path: Path
) -> None:
    """The submitter is gone before the list shows both: whoever polls looks again."""
    made = job({"WAITS_FOR": str(tmp_path / "gate")})
    emulator.lag = 0.4
    _, younger = (run_outside(runner(), made, KEY) for _ in range(2))
    watcher = runner(cloud_run_list_lag=0.5)
    assert not watcher.poll([younger])[younger].ended
    until(lambda: bool(emulator.executions()[1].completion_time), "the younger one has ended")
    (tmp_path / "gate").touch()
    assert wait(watcher, younger).succeeded


@pytest.mark.parametrize("attempt", ["1", "2"])
def test_a_double_of_an_execution_that_is_taken_over_is_stopped_too(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner, tmp_path: Path, attempt: str
) -> None:
    """Both submitters are gone, and whoever takes over the older execution does not see the younger one yet."""
    made = job({"WAITS_FOR": str(tmp_path / "gate")})
    emulator.lag = 0.4
    older = run_outside(runner(), made, KEY)
    until(lambda: bool(runner().find(made, KEY.task)), "the list shows the older one")
    run_outside(runner(), made, KEY)
    waits = runner(cloud_run_list_lag=0.5)
    assert start(made, waits, replace(KEY, attempt=attempt)) == older
    until(lambda: bool(emulator.executions()[1].completion_time), "the younger one has ended")
    (tmp_path / "gate").touch()
    assert wait(waits, older).succeeded
    assert ends(emulator) == ["succeeded", "cancelled"]


def test_looking_again_for_many_costs_a_list_or_two(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    made = runner(cloud_run_list_lag=0.5)
    looks: list[int] = []
    plain = made._look_again

    def counted(parent: str, tasks: Any) -> None:
        looks.append(len(tasks))
        plain(parent, tasks)

    made._doubles._look = counted
    for number in range(20):
        made.submit(job(), RunKey(f"task {number}", "1"))
    until(lambda: sum(looks) == 20, "all were looked at again")
    assert len(looks) <= 10


def test_a_poll_that_lists_doubles_stops_the_younger(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner, tmp_path: Path
) -> None:
    made = job({"WAITS_FOR": str(tmp_path / "gate")})
    handles = [run_outside(runner(), made, KEY) for _ in range(2)]
    other = run_outside(runner(), made, RunKey("other", "1"))
    runner().poll([handles[0], other])
    until(lambda: bool(emulator.executions()[1].completion_time), "the younger one has ended")


def test_doubles_that_were_too_short_to_be_stopped_are_reported(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        run_outside(runner(), job(), KEY)
    assert ends(emulator) == ["succeeded"] * 2
    made = runner()
    for _ in range(2):
        made.find(job(), KEY.task)
    assert caplog.text.count("ran twice to its end") == 1


def test_an_attempt_that_is_being_stopped_is_told_so_by_every_process(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner, tmp_path: Path
) -> None:
    made = job({"LATE": "1", "WAITS_FOR": str(tmp_path / "gate"), "SAYS": "ready"})
    handle = runner().submit(made, KEY)
    until(lambda: bool(emulator.containers.all[0].lines), "the trap is set")
    emulator.slow = 3600
    runner().cancel(handle)
    other = runner()
    assert other.poll([handle])[handle].stopping
    (found,) = other.find(made, KEY.task)
    assert found.status.stopping
    assert not found.status.going


@pytest.mark.parametrize("how", ["cancelled", "deleted"])
def test_a_new_attempt_waits_for_the_end_of_one_that_is_being_stopped(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner, tmp_path: Path, how: str
) -> None:
    emulator.slow = 3600
    made = job({"WAITS_FOR": str(tmp_path / "gate")})
    older = runner().submit(made, KEY)
    emulator.hurry()
    if how == "cancelled":
        runner().cancel(older)
    else:
        emulator.begin_deleting(older)
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(start, made, runner(), RunKey(KEY.task, "2"))
        until(lambda: emulator.faults.calls["GetExecution"] > 3, "it is waited for")
        assert not starting.done()
        assert len(emulator.executions()) == 1
        emulator.slow = 0
        (tmp_path / "gate").touch()
        emulator.containers.all[0].wait(60)
        until(lambda: emulator.hurry() or starting.done(), "the new attempt was started")
        assert starting.result() != older


def test_the_history_forgets_what_has_ended_and_the_oldest_first(
    emulator: CloudRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "_KEPT", 200)
    (live,) = emulator.seed_running(1)
    emulator._executions[live].told.create_time.seconds -= 7200
    emulator.seed_history(150, age=3600)
    seen = history.History(lambda parent, token: ([], ""), 1000, 0.0)
    told = [run_v2.Execution.pb(one) for one in emulator.executions()]
    parent = live.rpartition("/executions/")[0]
    for execution in reversed(told):  # a list has the newest first
        seen.note(parent, execution)
    emulator.seed_history(200)
    for execution in emulator.executions()[-200:]:
        seen.note(parent, run_v2.Execution.pb(execution))
    assert seen.knows(live), "an execution that goes on was forgotten"
    kept = [one.name for one in emulator.executions() if seen.knows(one.name)]
    assert kept == [live, *(one.name for one in emulator.executions()[-199:])]


@pytest.mark.parametrize("how", ["start", "submit"])
def test_an_execution_that_was_deleted_after_its_end_is_not_taken_back(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner, how: str
) -> None:
    made = runner()
    handle = made.submit(job(), KEY)
    assert wait(made, handle).succeeded
    emulator.delete(handle)
    again = start(job(), made, KEY) if how == "start" else made.submit(job(), KEY)
    assert again != handle
    assert wait(made, again).succeeded


def test_a_new_attempt_takes_over_what_another_process_left(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner, tmp_path: Path
) -> None:
    made = job({"WAITS_FOR": str(tmp_path / "gate")})
    handle = runner().submit(made, KEY)
    assert start(made, runner(), RunKey(KEY.task, "2")) == handle
    assert start(made, runner(), RunKey(KEY.task, "3"), OlderAttempt.CANCEL) != handle
    (tmp_path / "gate").touch()
    assert ends(emulator) == ["cancelled", "succeeded"]


def test_another_generation_is_another_work_of_the_same_task(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner
) -> None:
    made = runner()
    wait(made, made.submit(job(), KEY))
    again = RunKey(KEY.task, "2", generation=1)
    wait(made, made.submit(job(), again))
    assert [container.env["SL_RUN_KEY"] for container in emulator.containers.all] == [KEY.task, f"{KEY.task}~1"]
    assert [found.attempt for found in made.find(job(), KEY.task)] == ["1", "2"]


def test_executions_of_others_are_left_alone(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    emulator.seed_running(3)
    assert runner().find(job(), KEY.task) == []
    assert [told.completion_time for told in emulator.executions()] == [None] * 3


def test_a_look_reads_only_what_is_new(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    emulator.seed_history(2000, age=3600)
    emulator.seed_history(50)
    made = runner()
    made.find(job(), KEY.task)
    assert emulator.faults.calls["ListExecutions"] == 10  # cloud_run_history is 1000
    made.find(job(), KEY.task)
    assert emulator.faults.calls["ListExecutions"] == 11
    emulator.seed_history(120)
    handle = made.submit(job(), KEY)
    assert emulator.faults.calls["ListExecutions"] == 13
    assert [found.handle for found in made.find(job(), KEY.task)] == [handle]


def test_an_old_execution_is_asked_for_its_state(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    """What is behind the newest executions is not read again: the state of a candidate there is asked for."""
    (handle,) = emulator.seed_running(1)
    emulator._executions[handle].told.create_time.seconds -= 3600
    task = next(
        variable.value
        for variable in emulator.executions()[0].template.containers[0].env
        if variable.name == "SL_RUN_TASK"
    )
    emulator.seed_history(150, age=1800)
    emulator.seed_history(10)
    made = runner()
    assert [found.status.ended for found in made.find(job(), task)] == [False]
    emulator.finish(handle)
    assert [found.status.ended for found in made.find(job(), task)] == [True]
    assert emulator.faults.calls["GetExecution"] == 1
    made.find(job(), task)
    assert emulator.faults.calls["GetExecution"] == 1


def test_an_execution_that_was_deleted_is_not_found(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    made = runner()
    handle = made.submit(job(), KEY)
    wait(made, handle)
    emulator.delete(handle)
    assert runner().find(job(), KEY.task) == []


def test_threads_that_look_at_once_share_a_look(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    made = runner()
    meet = threading.Barrier(8)

    def find(number: int) -> int:
        meet.wait()
        return len(made.find(job(), f"task-{number}"))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(find, range(8))) == [0] * 8
    assert emulator.faults.calls["ListExecutions"] <= 8


def test_a_look_that_fails_is_made_by_the_next_who_waits(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    emulator.faults.plan("ListExecutions", Fault(Kind.DENIED))
    made = runner()
    meet = threading.Barrier(4)

    def find(number: int) -> str:
        meet.wait()
        try:
            return str(len(made.find(job(), f"task-{number}")))
        except Exception as error:
            return type(error).__name__

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(find, range(4))) == ["0", "0", "0", "RunnerError"]
