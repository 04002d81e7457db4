"""Attempts and their ends: started once, found again, judged by what ECS tells."""

from __future__ import annotations

import shlex
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from emulators.faults import Fault, Kind, When
from fargate_lab import KEY, Lab
from starlake_core_fargate.request import started_by
from starlake_core_fargate.state import TaskArn, TaskFacts, status_of

from starlake_core import OutageError, RunKey, RunnerError
from starlake_core.runtime import OlderAttempt, Runner, Verdict, start
from starlake_core.testing.lab import settle, until


def verdict(runner: Runner, handle: str) -> Verdict | None:
    outcome = runner.poll([handle])[handle].outcome
    return outcome.verdict if outcome else None


# -- starting


def test_the_request_is_for_fargate_in_the_network_of_the_options(lab: Lab) -> None:
    job = lab.job(aws_tags={"team": "data"})
    handle = lab.runner().submit(job, KEY)
    (task,) = lab.ecs.client("ecs").describe_tasks(cluster="starlake", tasks=[handle], include=["TAGS"])["tasks"]
    assert task["launchType"] == "FARGATE"
    assert task["startedBy"] == started_by(KEY.task)
    assert {tag["key"]: tag["value"] for tag in task["tags"]} == {
        "starlake:task": KEY.task,
        "starlake:attempt": "1",
        "team": "data",
    }
    (override,) = task["overrides"]["containerOverrides"]
    assert (override["name"], override["cpu"], override["memory"]) == ("starlake", 1024, 2048)


def test_a_capacity_provider_is_used(lab: Lab) -> None:
    handle = lab.runner().submit(lab.job(aws_capacity_provider="FARGATE_SPOT"), KEY)
    (task,) = lab.ecs.client("ecs").describe_tasks(cluster="starlake", tasks=[handle])["tasks"]
    assert task["capacityProviderName"] == "FARGATE_SPOT"


def test_one_key_is_one_task_across_threads_and_runners(lab: Lab) -> None:
    job = lab.job()
    with ThreadPoolExecutor(6) as pool:
        handles = set(pool.map(lambda _: lab.runner().submit(job, KEY), range(6)))
    assert len(handles) == 1
    assert len(lab.ecs.containers.all) == 1


def test_without_the_token_there_would_be_two(lab: Lab) -> None:
    """The negative control: what the test above proves is not proved by something else."""
    lab.ecs.dedupe = False
    handles = {lab.runner().submit(lab.job(), KEY) for _ in range(2)}
    assert len(handles) == 2


def test_an_attempt_with_other_variables_is_still_the_same_attempt(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """A password was rotated, or an option changed, between the start of an attempt and its restart."""
    first = lab.runner().submit(lab.job(env={"DB_PASSWORD": "old-password"}), KEY)
    assert lab.runner().submit(lab.job(env={"DB_PASSWORD": "new-password"}), KEY) == first
    assert "was already started" in caplog.text
    assert "password" not in caplog.text


def test_a_conflict_without_a_task_says_what_to_do(lab: Lab) -> None:
    lab.ecs.refuse("RunTask", "ConflictException", "The client token is in use.")
    with pytest.raises(RunnerError, match=r"was started before with other options.*run the task again"):
        lab.runner().submit(lab.job(), KEY)


def test_attempts_are_found_under_their_exact_names(lab: Lab) -> None:
    runner = lab.runner()
    attempts = ["r1:0", "r1:1 poke 3", "é/'\""]
    for attempt in attempts:
        settle(runner, runner.submit(lab.job(), RunKey("p/r/t", attempt)))
    runner.submit(lab.job(), RunKey("p/r/other", "1"))
    found = lab.runner().find(lab.job(), "p/r/t")
    assert [one.attempt for one in found] == attempts
    assert all(one.status.ended for one in found)


def test_more_attempts_than_a_page_are_all_found(lab: Lab) -> None:
    for _ in range(230):
        lab.ecs._seeded("many")
    job = lab.job()
    for task in lab.ecs._tasks.values():
        task.started_by = started_by("seed/run/many")
    lab.ecs._by_task = {started_by("seed/run/many"): list(lab.ecs._tasks.values())}
    assert len(lab.runner().find(job, "seed/run/many")) == 230
    assert lab.ecs.faults.calls["DescribeTasks"] == 3


def test_a_task_of_somebody_else_with_the_same_word_is_not_found(lab: Lab) -> None:
    lab.ecs._by_task[started_by(KEY.task)] = [lab.ecs._tasks[lab.ecs.seed_running(1)[0]]]
    assert lab.runner().find(lab.job(), KEY.task) == []


def test_a_task_that_is_listed_before_it_can_be_described_is_waited_for(lab: Lab) -> None:
    lab.ecs.lag = 0.3
    handle = lab.runner().submit(lab.job("sleep 60"), KEY)
    assert start(lab.job(), lab.runner(), RunKey(KEY.task, "2")) == handle


def test_a_task_that_is_listed_and_never_described_stops_a_new_attempt(lab: Lab) -> None:
    lab.ecs.lag = 3600
    handle = lab.runner().submit(lab.job("sleep 60"), KEY)
    with pytest.raises(OutageError, match="nothing was started") as error:
        start(lab.job(), lab.runner(missing_grace=0), RunKey(KEY.task, "2"))
    assert handle in str(error.value)


def test_an_older_attempt_is_stopped_before_a_new_one_starts(lab: Lab) -> None:
    runner = lab.runner()
    first = runner.submit(lab.job("sleep 60"), KEY)
    second = start(lab.job(), lab.runner(), RunKey(KEY.task, "2"), OlderAttempt.CANCEL)
    assert verdict(runner, first) is Verdict.CANCELLED
    assert settle(runner, second).succeeded
    one, other = lab.ecs.containers.all
    assert one.ended is not None
    assert one.ended <= other.started


# -- nothing was started


@pytest.mark.parametrize("reason", ["RESOURCE:CPU", "RESOURCE:ENI", "MISSING", ""])
def test_an_answer_without_a_task_is_no_start(lab: Lab, reason: str) -> None:
    lab.ecs.fail_placement(reason)
    with pytest.raises(RunnerError, match="nothing was started") as error:
        lab.runner().submit(lab.job(), KEY)
    assert (reason or "no reason") in str(error.value)
    assert not lab.ecs.containers.all


def test_capacity_that_comes_back_is_waited_for(lab: Lab) -> None:
    lab.ecs.fail_placement(*["Capacity is unavailable at this time. Please try again later"] * 3)
    runner = lab.runner()
    assert settle(runner, runner.submit(lab.job(), KEY)).succeeded
    assert lab.ecs.faults.calls["RunTask"] == 4


def test_capacity_that_does_not_come_back_is_an_outage(lab: Lab) -> None:
    lab.ecs.fail_placement(*["Capacity is unavailable at this time."] * 100)
    runner = lab.runner()
    runner._aws.total_seconds = 0.1
    with pytest.raises(OutageError, match=r"no capacity.*aws_task_private_subnets"):
        runner.submit(lab.job(), KEY)


# -- ends


def test_the_exit_code_is_that_of_the_named_container(lab: Lab) -> None:
    """A sidecar stands before it, and ended well."""
    runner = lab.runner()
    handle = runner.submit(lab.job("exit 3"), KEY)
    outcome = settle(runner, handle)
    assert (outcome.verdict, outcome.exit_code) == (Verdict.FAILED, 3)
    assert outcome.reason == "exit code 3"
    arn = TaskArn.of(handle)
    assert arn is not None
    assert outcome.log == (
        f"https://eu-west-3.console.aws.amazon.com/ecs/v2/clusters/starlake/tasks/{arn.id}/logs?region=eu-west-3"
    )


def test_a_container_that_never_started_fails_with_the_words_of_aws(lab: Lab) -> None:
    lab.ecs.fail_start(
        "Task failed to start", "CannotPullContainerError: pull image manifest has been retried 1 time(s)"
    )
    outcome = lab.run(lab.job())
    assert (outcome.verdict, outcome.exit_code) == (Verdict.FAILED, None)
    for words in ("never started", "Task failed to start", "CannotPullContainerError"):
        assert words in outcome.reason


@pytest.mark.parametrize(
    ("stop_code", "stopped_reason", "code", "reason", "expected", "words"),
    [
        ("UserInitiated", "by hand", 143, "", Verdict.CANCELLED, "someone stopped it: by hand"),
        ("UserInitiated", "by hand", None, "", Verdict.CANCELLED, "by hand"),
        ("UserInitiated", "by hand", 0, "", Verdict.SUCCEEDED, ""),
        ("EssentialContainerExited", "Essential container in task exited", 0, "", Verdict.SUCCEEDED, ""),
        ("SpotInterruption", "Your Spot Task was interrupted.", 143, "", Verdict.FAILED, "took the Spot capacity back"),
        ("TerminationNotice", "", 137, "", Verdict.FAILED, "retired the host"),
        ("ServiceSchedulerInitiated", "Scaling", 143, "", Verdict.FAILED, "an ECS service stopped it: Scaling"),
        (
            "EssentialContainerExited",
            "x",
            137,
            "OutOfMemoryError: Container killed due to memory usage",
            Verdict.FAILED,
            "OutOfMemory",
        ),
        ("TaskFailedToStart", "ResourceInitializationError: no secrets", None, "", Verdict.FAILED, "no secrets"),
        ("", "", None, "", Verdict.FAILED, "no exit code"),
    ],
)
def test_how_a_task_stopped(
    lab: Lab, stop_code: str, stopped_reason: str, code: int | None, reason: str, expected: Verdict, words: str
) -> None:
    runner = lab.runner()
    handle = runner.submit(lab.job("sleep 60"), KEY)
    lab.ecs.end(handle, stop_code, stopped_reason, code, reason)
    outcome = runner.poll([handle])[handle].outcome
    assert outcome is not None
    assert outcome.verdict is expected
    assert words in outcome.reason


def test_a_success_need_not_wait_until_the_network_is_given_back(lab: Lab) -> None:
    lab.ecs.slow = 3600
    runner = lab.runner()
    handle = runner.submit(lab.job(), KEY)
    assert runner.poll([handle])[handle].detail == "provisioning"
    lab.ecs.hurry()
    assert settle(runner, handle).succeeded
    assert runner.poll([handle])[handle].detail == "deprovisioning"


def test_a_failure_waits_until_ecs_says_how_it_stopped(lab: Lab) -> None:
    runner = lab.runner()
    handle = runner.submit(lab.job("sleep 60"), KEY)
    lab.ecs.slow = 3600
    runner.cancel(handle)
    until(lambda: runner.poll([handle])[handle].detail == "deprovisioning", "the container has ended")
    assert not runner.poll([handle])[handle].ended
    lab.ecs.hurry()
    assert settle(runner, handle).verdict is Verdict.CANCELLED


# -- tasks that ECS does not know


def test_a_task_is_pending_until_ecs_knows_it(lab: Lab) -> None:
    lab.ecs.lag = 3600
    runner = lab.runner()
    handle = runner.submit(lab.job("exit 4"), KEY)
    assert runner.poll([handle])[handle].detail.startswith("pending")
    lab.ecs.reveal(handle)
    assert settle(runner, handle).exit_code == 4


def test_a_task_that_ecs_never_knows_is_lost_after_a_while_and_never_a_success(lab: Lab) -> None:
    now = [0.0]
    runner = lab.runner(clock=lambda: now[0])
    handle = runner.submit(lab.job(), KEY)
    lab.ecs.forget(handle)
    assert verdict(runner, handle) is None
    now[0] = 59
    assert verdict(runner, handle) is None
    now[0] = 60
    assert verdict(runner, handle) is Verdict.LOST
    outcome = runner.poll([handle])[handle].outcome
    assert outcome is not None
    assert "about an hour" in outcome.reason


def test_a_task_that_is_overlooked_for_a_moment_is_not_lost(lab: Lab) -> None:
    now = [0.0]
    runner = lab.runner(clock=lambda: now[0])
    handle = runner.submit(lab.job("sleep 60"), KEY)
    task = lab.ecs._tasks[handle]
    for second, known in ((0, True), (100, False), (150, True), (200, False), (259, False), (259, True)):
        now[0], task.visible = second, 0 if known else float("inf")
        assert verdict(runner, handle) is None


@pytest.mark.parametrize("handle", ["", "x", "arn:aws:ecs:eu-west-3:123456789012:task/starlake/short", "../etc"])
def test_what_is_no_task_is_lost_at_once_and_never_sent(lab: Lab, handle: str) -> None:
    runner = lab.runner()
    known = runner.submit(lab.job("sleep 60"), KEY)
    statuses = runner.poll([handle, known])
    outcome = statuses[handle].outcome
    assert outcome is not None
    assert outcome.verdict is Verdict.LOST
    assert not statuses[known].ended
    runner.cancel(handle)
    assert lab.ecs.faults.calls["StopTask"] == 0
    assert runner.console_url(handle) == ""
    assert runner.logs(handle, None) == ((), None)


# -- polling


def test_a_call_answers_for_a_hundred_tasks(lab: Lab) -> None:
    handles = lab.ecs.seed_running(250)
    lab.ecs.seed_history(50)
    runner = lab.runner()
    assert set(runner.poll([*handles, handles[0]])) == set(handles)
    assert lab.ecs.faults.calls == {"DescribeTasks": 3}
    assert runner.poll([]) == {}
    assert lab.ecs.faults.calls == {"DescribeTasks": 3}


@pytest.mark.parametrize("error", [OutageError("no answer"), RunnerError("403")], ids=["outage", "refusal"])
def test_an_error_for_some_tasks_says_nothing_about_the_others(lab: Lab, error: Exception) -> None:
    handles = lab.ecs.seed_running(150)
    runner = lab.runner()
    lab.ecs.end(handles[120], "EssentialContainerExited", "", 0)
    plain = runner._describe

    def describe(arns: Any, doing: str, total: float | None = None) -> Any:
        if handles[0] in arns:
            raise error
        return plain(arns, doing, total)

    runner._describe = describe  # type: ignore[method-assign]
    statuses = runner.poll(handles)
    assert [handle for handle in handles if statuses[handle].ended] == [handles[120]]
    assert statuses[handles[0]].error is error


def test_an_outage_for_all_tasks_is_told(lab: Lab) -> None:
    runner = lab.runner()
    runner._describe = lambda *_, **__: (_ for _ in ()).throw(OutageError("no answer"))  # type: ignore[method-assign]
    statuses = runner.poll(lab.ecs.seed_running(150))
    assert all(isinstance(status.error, OutageError) and not status.ended for status in statuses.values())


def test_a_task_of_which_ecs_tells_a_failure_is_not_lost(lab: Lab) -> None:
    """Only MISSING means that there is none."""
    first, second = lab.ecs.seed_running(2)
    runner = lab.runner(missing_grace=0.001)
    told = runner._describe([first, second], "looking")
    (kept,) = (task for task in told["tasks"] if task["taskArn"] == second)
    answer = {"tasks": [kept], "failures": [{"arn": first, "reason": "ACCESS_DENIED"}]}
    runner._describe = lambda *_, **__: answer  # type: ignore[method-assign]
    statuses = runner.poll([first, second])
    assert isinstance(statuses[first].error, RunnerError)
    assert not statuses[second].error


@pytest.mark.parametrize("kind", [Kind.DENIED, Kind.UNAVAILABLE, Kind.LOST], ids=str)
def test_a_poll_that_goes_wrong_changes_no_end(lab: Lab, kind: Kind) -> None:
    runner = lab.runner()
    handle = runner.submit(lab.job(), KEY)
    lab.ecs.faults.plan("DescribeTasks", *[Fault(kind)] * 3)
    assert settle(runner, handle).succeeded
    assert len(lab.ecs.containers.all) == 1


def test_slow_storage_holds_up_nothing_but_the_check_that_needs_it(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = lab.runner()
    monkeypatch.setattr(runner._aside, "_seconds", 0.05)
    handles = [runner.submit(lab.check("true"), KEY), runner.submit(lab.job(), RunKey("other", "1"))]
    for container in lab.ecs.containers.all:
        container.wait(60)
    answer = threading.Event()
    monkeypatch.setattr(runner._markers, "seen", lambda marker: answer.wait(60))
    until(lambda: runner.poll(handles)[handles[1]].ended, "the others do not wait for it")
    assert not runner.poll(handles)[handles[0]].ended
    (found,) = runner.find(lab.check("true"), KEY.task)
    assert found.status.ended, "it is known that it has ended, if not how"
    answer.set()
    assert settle(runner, handles[0]).verdict is Verdict.NOT_READY


# -- an attempt that is being stopped


def test_a_new_attempt_waits_for_the_end_of_one_that_is_being_stopped(lab: Lab) -> None:
    gate = lab.ecs.buckets / "gate"
    job = lab.job(f"trap '' TERM; echo ready; while [ ! -e {gate} ]; do sleep 0.02; done; exit 3")
    older = lab.runner().submit(job, KEY)
    until(lambda: bool(lab.runner().logs(older, None)[0]), "the trap is set")
    lab.runner().cancel(older)
    other = lab.runner()
    assert other.poll([older])[older].stopping
    (found,) = other.find(job, KEY.task)
    assert found.status.stopping
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(start, job, other, RunKey(KEY.task, "2"))
        asked = lab.ecs.faults.calls["DescribeTasks"]
        until(lambda: lab.ecs.faults.calls["DescribeTasks"] > asked + 2, "it is waited for")
        assert not starting.done()
        gate.touch()
        assert starting.result() != older
    assert len(lab.ecs.containers.all) == 2


@pytest.mark.parametrize("state", ["DEACTIVATING", "STOPPING", "DEPROVISIONING", "RUNNING"])
def test_the_states_of_a_task_that_is_stopping(state: str) -> None:
    task = {"lastStatus": state, "desiredStatus": "STOPPED"}
    assert status_of(task, TaskFacts("starlake", (), {}), lambda marker: False).stopping
    going = {"lastStatus": state, "desiredStatus": "RUNNING"}
    assert status_of(going, TaskFacts("starlake", (), {}), lambda marker: False).stopping == (state != "RUNNING")


# -- cancel


def test_a_task_that_was_just_started_can_be_cancelled(lab: Lab) -> None:
    """ECS may not know it yet; it must not go on because of that."""
    lab.ecs.lag = 0.3
    runner = lab.runner()
    handle = runner.submit(lab.job("sleep 60"), KEY)
    runner.cancel(handle)
    assert settle(runner, handle).verdict is Verdict.CANCELLED


def test_a_task_that_has_not_started_yet_never_does(lab: Lab) -> None:
    lab.ecs.slow = 3600
    runner = lab.runner()
    handle = runner.submit(lab.job(), KEY)
    runner.cancel(handle)
    lab.ecs.hurry()
    assert settle(runner, handle).verdict is Verdict.CANCELLED
    assert not lab.ecs.containers.all


def test_cancelling_what_ecs_has_forgotten_is_no_error(lab: Lab) -> None:
    runner = lab.runner(missing_grace=0)
    handle = runner.submit(lab.job(), KEY)
    lab.ecs.forget(handle)
    runner.cancel(handle)


def test_what_ends_while_it_is_cancelled_keeps_its_true_end(lab: Lab) -> None:
    runner = lab.runner()
    handle = runner.submit(lab.job("trap 'exit 0' TERM; echo ready; while :; do sleep 0.02; done"), KEY)
    until(lambda: bool(runner.logs(handle, None)[0]), "the trap is set")
    runner.cancel(handle)
    assert settle(runner, handle).verdict is Verdict.SUCCEEDED


def test_a_container_that_does_not_listen_is_killed(lab: Lab) -> None:
    lab.ecs.stop_grace = 0.1
    runner = lab.runner()
    handle = runner.submit(lab.job("trap '' TERM; echo ready; while :; do sleep 0.02; done"), KEY)
    until(lambda: bool(runner.logs(handle, None)[0]), "the trap is set")
    runner.cancel(handle)
    outcome = settle(runner, handle)
    assert (outcome.verdict, outcome.exit_code) == (Verdict.CANCELLED, 137)


# -- for people


def test_the_command_line_does_the_same_and_shows_no_secret(lab: Lab) -> None:
    job = lab.job(env={"DB_PASSWORD": "hunter22", "QUOTED": "it's"}, aws_profile="prod")
    line = lab.runner().describe(job)
    assert "hunter22" not in line
    words = shlex.split(line)
    assert words[:7] == ["aws", "ecs", "run-task", "--region", "eu-west-3", "--profile", "prod"]
    assert '"command":["load",' in words[words.index("--overrides") + 1]
    assert '{"name":"QUOTED","value":"it\'s"}' in words[words.index("--overrides") + 1]
    assert "--capacity-provider-strategy" in lab.runner().describe(lab.job(aws_capacity_provider="FARGATE_SPOT"))


@pytest.mark.parametrize(
    ("arn", "address"),
    [
        (
            "arn:aws:ecs:us-east-1:1:task/c/" + "0" * 32,
            "https://us-east-1.console.aws.amazon.com/ecs/v2/clusters/c/tasks/",
        ),
        ("arn:aws-cn:ecs:cn-north-1:1:task/c/" + "0" * 32, "https://console.amazonaws.cn/ecs/"),
        ("arn:aws-us-gov:ecs:us-gov-west-1:1:task/c/" + "0" * 32, "https://console.amazonaws-us-gov.com/ecs/"),
        ("arn:aws:ecs:us-east-1:1:task/" + "0" * 32, "/clusters/default/tasks/"),
    ],
)
def test_the_console_of_every_partition(arn: str, address: str) -> None:
    parts = TaskArn.of(arn)
    assert parts is not None
    assert address in parts.console


def test_a_runner_says_how_it_wants_to_be_waited_for(lab: Lab) -> None:
    assert lab.runner().detached
    assert not lab.runner().follows
    runner = lab.runner(lab.job(fargate_async=False, fargate_follow_logs=True, fargate_async_poke_interval=7))
    assert (runner.detached, runner.follows, runner.interval) == (False, True, 7)
    assert settle(lab.runner(lab.job(fargate_async=False)), lab.runner().submit(lab.job(), KEY)).succeeded


# -- errors of the service


PASSING = [
    Fault(Kind.UNAVAILABLE),
    Fault(Kind.UNAVAILABLE, When.AFTER),
    Fault(Kind.THROTTLED),
    Fault(Kind.THROTTLED, When.AFTER),
    Fault(Kind.LOST),
    Fault(Kind.LOST, When.AFTER),
]


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: f"{fault.kind.name} {fault.when.name}")
@pytest.mark.parametrize("method", ["RunTask", "DescribeTasks", "ListTasks", "StopTask"])
def test_an_error_of_the_moment_is_tried_again_and_does_nothing_twice(lab: Lab, method: str, fault: Fault) -> None:
    lab.ecs.faults.plan(method, fault)
    runner = lab.runner()
    handle = start(lab.job("sleep 60"), runner, KEY)
    lab.runner().cancel(handle)
    assert settle(runner, handle).verdict is Verdict.CANCELLED
    assert len(lab.ecs.containers.all) == 1


def test_an_outage_is_reported_when_its_time_is_over(lab: Lab) -> None:
    lab.ecs.faults.at_random(1.0, [Fault(Kind.UNAVAILABLE)], 1)
    runner = lab.runner()
    runner._aws.total_seconds = 0.05
    with pytest.raises(OutageError, match=r"did not answer for 0.05 s \(starting sales/run-1/load_orders\)"):
        runner.submit(lab.job(), KEY)


def test_a_throttled_network_of_ec2_is_told_as_an_invalid_parameter_and_passes(lab: Lab) -> None:
    lab.ecs.refuse(
        "RunTask",
        "InvalidParameterException",
        "Error retrieving security group information for [sg-1]: Request limit exceeded. (ErrorCode: RequestLimitExceeded)",
    )
    runner = lab.runner()
    assert settle(runner, runner.submit(lab.job(), KEY)).succeeded
