"""How executions end: exit codes, retries of the job, several tasks, time-outs, cancels, checks; and what polling them costs."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cloud_run_lab import IMPATIENT, KEY, ends
from emulators.cloud_run import JobDefinition
from emulators.faults import Fault, Kind, When
from starlake_core_cloud_run import output

from starlake_core import OutageError, Preload, RunKey, RunnerError, StarlakePreLoadStrategy
from starlake_core.runtime import BatchPoller, Outcome, Verdict, execute, finish, wait
from starlake_core.testing.lab import until

if TYPE_CHECKING:
    from cloud_run_lab import MakeJob, MakeRunner
    from emulators.cloud_run import CloudRun
    from starlake_core_cloud_run.runner import CloudRunRunner

    from starlake_core import Job

CHECK = Preload("check", "sales", ("orders",), StarlakePreLoadStrategy.IMPORTED).command()


def outcome_of(runner: CloudRunRunner, job: Job, key: RunKey = KEY) -> Outcome:
    return wait(runner, runner.submit(job, key))


# -- ends


@pytest.mark.parametrize(
    ("env", "code", "reason"),
    [
        ({"EXIT": "3"}, 3, "exit code 3"),
        ({"EXIT": "1"}, 1, "exit code 1"),
        ({"EXIT": "127"}, 127, "exit code 127: a program was not found"),
        (
            {"DIES": "1"},
            -9,
            "killed by SIGKILL; the machine may have been out of memory (The container exited with an error.)",
        ),
    ],
)
def test_a_failure_has_the_exit_code_of_its_container(
    job: MakeJob, runner: MakeRunner, env: dict[str, str], code: int, reason: str
) -> None:
    outcome = outcome_of(runner(), job(env))
    assert (outcome.verdict, outcome.exit_code, outcome.reason) == (Verdict.FAILED, code, reason)


def test_a_container_that_does_not_start_says_why(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    emulator.containers.program = ("/no/such/program",)
    outcome = outcome_of(runner(), job())
    assert (outcome.verdict, outcome.exit_code) == (Verdict.FAILED, None)
    assert outcome.reason.startswith("Application failed to start: ")


def test_every_end_has_the_address_of_the_console(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    made = runner()
    handle = made.submit(job(), KEY)
    address = (
        f"https://console.cloud.google.com/run/jobs/executions/details/europe-west1/{handle.rpartition('/')[2]}/tasks"
        "?project=emulated-project"
    )
    assert made.console_url(handle) == wait(made, handle).log == address


def test_retries_of_the_job_are_left_to_it_and_told(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    emulator.jobs["starlake"].max_retries = 2
    made = runner()
    outcome = outcome_of(made, job({"FAILS": "1"}))
    assert outcome.verdict is Verdict.SUCCEEDED
    assert outcome.reason == "Cloud Run retried it once, because maxRetries of the job is 2"
    outcome = outcome_of(made, job({"EXIT": "5"}), RunKey("t", "1"))
    assert (outcome.verdict, outcome.exit_code) == (Verdict.FAILED, 5)
    assert outcome.reason == "exit code 5; Cloud Run retried it 2 times, because maxRetries of the job is 2"
    attempts = [container.env["SL_RUN_ATTEMPT"] for container in emulator.containers.all]
    assert attempts == ["1"] * 5


def test_one_of_several_tasks_fails(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    made = runner()
    outcome = outcome_of(made, job({"BAD_TASK": "1"}, cloud_run_task_count=3))
    assert (outcome.verdict, outcome.exit_code) == (Verdict.FAILED, 4)
    assert outcome.reason == "task 1 of 3 (1 failed): exit code 4"
    assert len(emulator.containers.all) == 3
    assert outcome_of(made, job(cloud_run_task_count=2), RunKey("t", "1")).succeeded


def test_the_exit_code_is_looked_for_on_every_page(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    emulator.page = 2
    outcome = outcome_of(runner(), job({"BAD_TASK": "3"}, cloud_run_task_count=7))
    assert outcome.reason == "task 3 of 7 (1 failed): exit code 4"
    assert emulator.faults.calls["ListTasks"] == 2


def test_the_time_out_of_a_task_is_the_service_s(job: MakeJob, runner: MakeRunner) -> None:
    outcome = outcome_of(runner(), job({"WAITS_FOR": "/never"}, cloud_run_task_timeout=1))
    assert (outcome.verdict, outcome.exit_code) == (Verdict.FAILED, None)
    assert outcome.reason == "The configured timeout was reached."


def test_exit_codes_that_cannot_be_read_change_no_verdict(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    made = runner()
    handle = made.submit(job({"EXIT": "3"}), KEY)
    ends(emulator)
    emulator.faults.plan("ListTasks", Fault(Kind.DENIED))
    (status,) = made.poll([handle]).values()
    assert status.outcome is not None
    assert status.outcome.verdict is Verdict.FAILED
    assert "the role roles/run.viewer" in status.outcome.reason


def test_an_end_that_cannot_be_read_now_is_read_later(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    made = runner(IMPATIENT)
    handles = [made.submit(job({"EXIT": code}), RunKey(code, "1")) for code in ("3", "0")]
    ends(emulator)
    emulator.faults.at_random(1.0, [Fault(Kind.UNAVAILABLE)], 1, spared=["ListExecutions", "GetExecution"])
    found = made.poll(handles)
    assert [found[handle].ended for handle in handles] == [False, True]
    emulator.faults.forget()
    outcome = made.poll(handles)[handles[0]].outcome
    assert outcome is not None
    assert outcome.exit_code == 3


# -- cancels


def test_a_time_out_of_ours_cancels(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    outcome = execute(job({"WAITS_FOR": "/never"}), runner(), KEY, timeout=0.3)
    assert (outcome.verdict, outcome.reason) == (Verdict.FAILED, "stopped after its time-out of 0.3 s")
    assert ends(emulator) == ["cancelled"]
    assert [container.exit_code for container in emulator.containers.all] == [143]


def test_what_finishes_while_it_is_cancelled_has_succeeded(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner, tmp_path: Path
) -> None:
    made, started = runner(), tmp_path / "started"
    handle = made.submit(job({"LATE": "1", "TOUCHES": str(started), "WAITS_FOR": "/never"}), KEY)
    until(started.exists, "the container runs")
    made.cancel(handle)
    assert wait(made, handle).verdict is Verdict.SUCCEEDED


def test_what_is_still_pending_is_cancelled(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    emulator.slow = 3600
    made = runner()
    handle = made.submit(job(), KEY)
    assert made.poll([handle])[handle].detail == "pending"
    made.cancel(handle)
    assert made.poll([handle])[handle].detail == "cancelling"
    emulator.hurry()
    assert wait(made, handle).verdict is Verdict.CANCELLED
    assert emulator.containers.all == []


@pytest.mark.parametrize("when", When)
def test_a_cancel_without_an_answer_is_made_again(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner, when: When
) -> None:
    made = runner()
    handle = made.submit(job({"WAITS_FOR": "/never"}), KEY)
    emulator.faults.plan("CancelExecution", Fault(Kind.UNAVAILABLE, when))
    made.cancel(handle)
    assert wait(made, handle).verdict is Verdict.CANCELLED


def test_a_cancel_that_is_refused_is_an_error(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    made = runner()
    handle = made.submit(job({"WAITS_FOR": "/never"}), KEY)
    emulator.faults.plan("CancelExecution", Fault(Kind.DENIED))
    with pytest.raises(RunnerError, match=r"cancelling .* roles/run\.jobsExecutorWithOverrides"):
        made.cancel(handle)


# -- checks


def test_a_check_without_storage_has_two_exit_codes(job: MakeJob, runner: MakeRunner) -> None:
    """Where no marker can be left, exit code 1 is 'not ready', with a warning."""
    made = runner()
    assert outcome_of(made, job({"EXIT": "1"}, CHECK)).verdict is Verdict.NOT_READY
    assert outcome_of(made, job({"EXIT": "2"}, CHECK), RunKey("t", "1")).verdict is Verdict.FAILED


def test_a_check_with_a_marker_has_three_answers(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner, buckets: Path
) -> None:
    emulator.containers.program = (
        "/bin/sh",
        "-c",
        'for last; do :; done; [ -n "$MARKS" ] && touch "$last"; exit $EXIT',
        "s",
    )
    made = runner()
    expected = {("1", "0"): Verdict.NOT_READY, ("", "0"): Verdict.SUCCEEDED, ("", "1"): Verdict.FAILED}
    for (marks, code), verdict in expected.items():
        check = job({"SL_ROOT": "gs://bucket/project", "MARKS": marks, "EXIT": code}, CHECK)
        key = RunKey(f"sales/{marks}{code}", "1")
        handle = made.submit(replace(check, check=True), key)
        assert wait(made, handle).verdict is verdict
        # Another process, or the same one after a restart, gets the same answer.
        assert wait(runner(), handle).verdict is verdict
    (marker,) = (buckets / "bucket" / "project" / ".starlake-core" / "not-ready").iterdir()
    assert marker.name == RunKey("sales/10", "1").attempt_hash


def test_an_old_marker_of_the_attempt_does_not_count(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner, buckets: Path
) -> None:
    folder = buckets / "bucket" / "project" / ".starlake-core" / "not-ready"
    folder.mkdir(parents=True)
    old = folder / "0123456789ab"
    for marker in (folder / KEY.attempt_hash, old):
        marker.touch()
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    check = replace(job({"SL_ROOT": "gs://bucket/project", "EXIT": "0"}, CHECK), check=True)
    made = runner()
    assert outcome_of(made, check).succeeded
    assert list(folder.iterdir()) == [old]


def test_a_marker_that_cannot_be_read_is_never_a_success(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    check = replace(job({"SL_ROOT": "gs://bucket/project"}, CHECK), check=True)
    made = runner()
    handle = made.submit(check, KEY)
    ends(emulator)
    emulator.faults.plan("storage.get", Fault(Kind.DENIED))
    status = made.poll([handle])[handle]
    assert not status.ended
    assert "storage.objects.get access" in str(status.error)
    assert wait(made, handle).succeeded, "a refusal of the moment fails no check"


def test_a_marker_elsewhere_is_refused(job: MakeJob, runner: MakeRunner) -> None:
    marked = Preload(
        "check", "sales", ("orders",), StarlakePreLoadStrategy.IMPORTED, sentinel="/tmp/not-ready/x"
    ).command()
    with pytest.raises(
        RunnerError, match="set pre_load_not_ready_sentinel_path to a folder such as gs://bucket/not-ready"
    ):
        runner().submit(replace(job({}, marked), check=True), KEY)


# -- polls


def test_all_are_polled_with_one_list(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    emulator.seed_history(300)
    running = emulator.seed_running(150)
    emulator.seed_history(120)
    found = runner().poll(running)
    assert set(found) == set(running)
    assert not any(status.ended for status in found.values())
    assert emulator.faults.calls == {"ListExecutions": 3}


def test_one_is_asked_for_by_its_name(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    emulator.seed_history(300)
    (handle,) = emulator.seed_running(1)
    emulator.seed_history(300)
    assert not runner().poll([handle])[handle].ended
    assert emulator.faults.calls == {"GetExecution": 1}


def test_a_few_that_are_far_behind_are_asked_for_by_name(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    old = emulator.seed_running(3)
    emulator.seed_history(2000)
    young = emulator.seed_running(50)
    found = runner().poll([*old, *young])
    assert [found[handle].ended for handle in (*old, *young)] == [False] * 53
    assert emulator.faults.calls == {"ListExecutions": 4, "GetExecution": 3}


def test_a_list_is_not_read_beyond_the_oldest(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    """What a list does not show yet is asked for by name, and not looked for among older executions."""
    emulator.seed_history(1000, age=60)
    made = runner()
    handles = [made.submit(job({"WAITS_FOR": "/never"}), RunKey(str(number), "1")) for number in range(5)]
    emulator.lag = 30
    emulator.faults.calls.clear()
    assert not any(status.ended for status in made.poll(handles).values())
    assert emulator.faults.calls == {"ListExecutions": 1, "GetExecution": 5}


def test_executions_of_several_jobs_are_polled_together(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    emulator.jobs["other"] = JobDefinition()
    made = runner()
    handles = [
        made.submit(job({"EXIT": code}, cloud_run_job_name=name), RunKey(f"{name}{code}", "1"))
        for name in ("starlake", "other")
        for code in ("0", "3")
    ]
    ends(emulator)
    found = {handle: status.outcome for handle, status in made.poll(handles).items()}
    assert [outcome.exit_code if outcome is not None else "" for outcome in map(found.get, handles)] == [0, 3, 0, 3]


@pytest.mark.parametrize("fault", [Kind.NOT_FOUND, Kind.DENIED, Kind.UNAVAILABLE])
def test_a_job_that_cannot_be_asked_about_does_not_hide_the_others(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner, fault: Kind
) -> None:
    emulator.jobs["other"] = JobDefinition()
    made = runner(IMPATIENT)
    handles = [
        made.submit(job({"EXIT": "0"}, cloud_run_job_name=name), RunKey(f"{name}{number}", "1"))
        for name in ("other", "starlake")
        for number in range(2)
    ]
    ends(emulator)
    page = made._brief.page

    def refusing(parent: str, token: str) -> Any:
        if parent.endswith("/other"):
            emulator.faults.at_random(1.0, [Fault(fault)], 1)
        try:
            return page(parent, token)
        finally:
            emulator.faults.forget()

    made._brief.page = refusing  # type: ignore[method-assign]
    found = made.poll(handles)
    error = OutageError if fault is Kind.UNAVAILABLE else RunnerError
    assert all(isinstance(found[handle].error, error) and not found[handle].ended for handle in handles[:2])
    assert [found[handle].outcome and found[handle].outcome.verdict for handle in handles[2:]] == [
        Verdict.SUCCEEDED
    ] * 2
    assert all(isinstance(status.error, error) for status in made.poll(handles[:2]).values())


@pytest.mark.parametrize("fault", [Kind.DENIED, Kind.NOT_FOUND, Kind.UNAVAILABLE], ids=str)
def test_an_execution_that_cannot_be_asked_about_does_not_hide_the_others(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner, fault: Kind
) -> None:
    """Three executions that no list shows, and one call for each: the first of them goes wrong."""
    emulator.seed_history(300, age=3600)
    made = runner(IMPATIENT)
    handles = sorted(made.submit(job(), RunKey(str(number), "1")) for number in range(3))
    ends(emulator)
    emulator.lag = 3600
    get = made._brief.get

    def refusing(handle: str) -> Any:
        if handle == handles[0]:
            emulator.faults.at_random(1.0, [Fault(fault)], 1)
        try:
            return get(handle)
        finally:
            emulator.faults.forget()

    made._brief.get = refusing  # type: ignore[method-assign]
    found = made.poll(handles)
    assert [found[handle].ended for handle in handles[1:]] == [True, True]
    if fault is not Kind.NOT_FOUND:
        assert not found[handles[0]].ended
        made._brief.get = get  # type: ignore[method-assign]
        assert made.poll(handles)[handles[0]].ended


@pytest.mark.parametrize("fault", [Kind.DENIED, Kind.NOT_FOUND, Kind.UNAVAILABLE], ids=str)
def test_a_poll_that_goes_wrong_changes_no_end(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner, fault: Kind
) -> None:
    made = runner(IMPATIENT)
    handle = made.submit(job(), KEY)
    emulator.faults.plan("GetExecution", *[Fault(fault)] * 3)
    assert wait(made, handle).succeeded
    assert len(emulator.executions()) == 1


def test_an_execution_is_lost_as_soon_as_it_was_seen_and_deleted(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner
) -> None:
    made = runner(cloud_run_missing_grace=3600)
    handle = made.submit(job({"WAITS_FOR": "/never"}), KEY)
    assert not made.poll([handle])[handle].ended
    emulator.delete(handle)
    outcome = made.poll([handle])[handle].outcome
    assert outcome is not None
    assert outcome.verdict is Verdict.LOST


def test_an_execution_that_was_never_seen_is_waited_for(emulator: CloudRun, runner: MakeRunner) -> None:
    """Another process submitted it, and this part of the service does not know it yet."""
    (handle,) = emulator.seed_running(1)
    execution = emulator._executions.pop(handle)
    made = runner(cloud_run_missing_grace=3600)
    assert made.poll([handle])[handle].detail == "pending"
    emulator._executions[handle] = execution
    assert made.poll([handle])[handle].detail == "running"


def test_slow_storage_holds_up_nothing_but_the_check_that_needs_it(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = runner()
    monkeypatch.setattr(made._aside, "_seconds", 0.05)
    check = replace(job({"SL_ROOT": "gs://bucket/project"}, CHECK), check=True)
    handles = [made.submit(check, KEY), made.submit(job(), RunKey("load", "1"))]
    ends(emulator)
    answer, asked = threading.Event(), threading.Event()

    def slow(marker: str) -> bool:
        asked.set()
        assert answer.wait(60)
        return True

    monkeypatch.setattr(made._markers, "seen", slow)
    until(lambda: made.poll(handles)[handles[1]].ended, "the others do not wait for it")
    assert asked.is_set()
    assert not made.poll(handles)[handles[0]].ended
    answer.set()
    assert wait(made, handles[0]).verdict is Verdict.NOT_READY


def test_a_deleted_execution_is_lost(emulator: CloudRun, runner: MakeRunner) -> None:
    first, second = emulator.seed_running(2)
    emulator.delete(first)
    found = runner().poll([first, second])
    outcome = found[first].outcome
    assert outcome is not None
    assert (outcome.verdict, outcome.reason) == (
        Verdict.LOST,
        "Cloud Run does not know this execution: it was deleted",
    )
    assert not found[second].ended


def test_what_was_submitted_just_now_is_not_lost_yet(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    made = runner()
    handle = made.submit(job({"WAITS_FOR": "/never"}), KEY)
    emulator.faults.plan("GetExecution", Fault(Kind.NOT_FOUND))
    assert not made.poll([handle])[handle].ended
    assert not made.poll([handle])[handle].ended


def test_a_slow_service_is_waited_for(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    emulator.slow = 0.2
    assert outcome_of(runner(), job()).succeeded


def test_an_outage_while_waiting_ends_nothing(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    made = runner(IMPATIENT)
    handle = made.submit(job({"WAITS_FOR": str(gate)}), KEY)
    emulator.faults.at_random(1.0, [Fault(Kind.UNAVAILABLE)], 1)
    poller = BatchPoller(made)
    future = poller.watch(handle)
    until(lambda: poller.ticks >= 2, "the service was asked by two ticks")
    emulator.faults.forget()
    gate.touch()
    assert future.result(60).succeeded


# -- output


def test_the_end_of_the_output_is_in_a_failure(job: MakeJob, runner: MakeRunner) -> None:
    made = runner()
    handle = made.submit(job({"EXIT": "3", "SAYS": "one\ntwo\nit broke"}), KEY)
    outcome = finish(made, handle, wait(made, handle))
    assert outcome.tail == "one\ntwo\nit broke"
    assert runner().tail(handle, 2) == ["two", "it broke"]


def test_output_that_comes_late_is_asked_for_again(
    emulator: CloudRun, job: MakeJob, runner: MakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "_LAG_SECONDS", 0.4)
    emulator.log_lag = 0.3
    made = runner()
    handle = made.submit(job({"EXIT": "3", "SAYS": "it broke"}), KEY)
    wait(made, handle)
    assert made.tail(handle, 5) == ["it broke"]


def test_secrets_are_masked_by_any_process(job: MakeJob, runner: MakeRunner) -> None:
    made = runner()
    handle = made.submit(job({"SAYS": "pass hunter22 on", "DB_PASSWORD": "hunter22"}), KEY)
    wait(made, handle)
    for reader in (made, runner()):
        assert reader.tail(handle, 5) == ["pass *** on"]
        assert reader.logs(handle, None)[0] == ["pass *** on"]


def test_output_that_cannot_be_read_changes_no_end(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    emulator.faults.plan("ListLogEntries", Fault(Kind.DENIED))
    made = runner()
    handle = made.submit(job({"EXIT": "3", "SAYS": "it broke"}), KEY)
    outcome = finish(made, handle, wait(made, handle))
    assert (outcome.verdict, outcome.tail) == (Verdict.FAILED, "")


def test_output_is_followed_where_it_is_asked_for(emulator: CloudRun, job: MakeJob, runner: MakeRunner) -> None:
    lines: list[str] = []
    execute(job({"SAYS": "quiet"}), runner(), KEY, on_line=lines.append)
    assert (lines, emulator.faults.calls["ListLogEntries"]) == ([], 0)
    made = runner(cloud_run_follow_logs=True)
    handle = made.submit(job({"SAYS": "aloud"}), RunKey("t", "1"))
    wait(made, handle, on_line=lines.append)
    assert lines == ["aloud"]
