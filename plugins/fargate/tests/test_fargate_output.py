"""Output is read from CloudWatch, as well as it can be, and never changes how an attempt ends."""

from __future__ import annotations

import pytest
from emulators.faults import Fault, Kind
from fargate_lab import KEY, Lab

from starlake_core.runtime import Verdict, execute, finish
from starlake_core.testing.lab import settle, until


def test_before_the_first_line_there_is_nothing(lab: Lab) -> None:
    lab.ecs.slow = 3600
    runner = lab.runner()
    handle = runner.submit(lab.job("echo one; echo two"), KEY)
    assert runner.logs(handle, None) == ([], None)
    lab.ecs.hurry()
    settle(runner, handle)
    lines, cursor = runner.logs(handle, None)
    assert lines == ["one", "two"]
    assert runner.logs(handle, cursor) == ([], cursor)


def test_a_long_output_is_read_page_by_page_and_its_end_at_once(lab: Lab) -> None:
    runner = lab.runner()
    handle = runner.submit(lab.job("seq 1 25000"), KEY)
    settle(runner, handle)
    lines, cursor = runner.logs(handle, None)
    assert lines == [str(number) for number in range(1, 25001)]
    assert runner.logs(handle, cursor)[0] == []
    before = lab.ecs.faults.calls["GetLogEvents"]
    assert list(runner.tail(handle, 3)) == ["24998", "24999", "25000"]
    assert lab.ecs.faults.calls["GetLogEvents"] == before + 1


def test_the_task_definition_is_read_once(lab: Lab) -> None:
    runner = lab.runner()
    handle = runner.submit(lab.job("echo one"), KEY)
    settle(runner, handle)
    for _ in range(5):
        runner.logs(handle, None)
    assert lab.ecs.faults.calls["DescribeTaskDefinition"] == 1


def test_following_is_off_unless_it_is_asked_for(lab: Lab) -> None:
    lines: list[str] = []
    outcome = execute(lab.job("echo one"), lab.runner(), KEY, on_line=lines.append)
    assert outcome.succeeded
    assert lines == []
    assert lab.ecs.faults.calls["GetLogEvents"] == 0
    job = lab.job("echo one; exit 3", fargate_follow_logs=True)
    outcome = execute(job, lab.runner(job), KEY.__class__("other", "1"), on_line=lines.append)
    assert lines == ["one"]
    assert outcome.tail == "one"


def test_a_failure_shows_the_end_of_the_output_without_secrets(lab: Lab) -> None:
    outcome = execute(
        lab.job('seq 1 50; echo "pw $DB_PASSWORD"; exit 3', {"DB_PASSWORD": "hunter22"}), lab.runner(), KEY
    )
    assert outcome.verdict is Verdict.FAILED
    assert outcome.tail.splitlines() == [*map(str, range(32, 51)), "pw ***"]


def test_secrets_of_the_task_definition_are_hidden_too(lab: Lab) -> None:
    (definition,) = [
        one
        for one in lab.ecs.client("ecs").describe_task_definition(taskDefinition="starlake")["taskDefinition"][
            "containerDefinitions"
        ]
        if one["name"] == "starlake"
    ]
    definition["environment"] = [{"name": "DB_PASSWORD", "value": "of-the-definition"}]
    lab.ecs.register([definition])
    runner = lab.runner()
    handle = runner.submit(lab.job("echo it is of-the-definition"), KEY)
    settle(runner, handle)
    assert list(runner.tail(handle, 5)) == ["it is ***"]


def test_a_container_that_never_started_has_no_output_to_wait_for(lab: Lab) -> None:
    lab.ecs.fail_start("Task failed to start", "CannotPullContainerError")
    runner = lab.runner()
    handle = runner.submit(lab.job(), KEY)
    outcome = finish(runner, handle, settle(runner, handle))
    assert outcome.tail == ""
    assert lab.ecs.faults.calls["GetLogEvents"] == 1


@pytest.mark.parametrize("driver", ["awsfirelens", ""])
def test_another_log_driver_is_told(lab: Lab, driver: str, caplog: pytest.LogCaptureFixture) -> None:
    container = {"name": "starlake", "image": "starlake", "cpu": 1, "memory": 4}
    lab.ecs.register([{**container, **({"logConfiguration": {"logDriver": driver}} if driver else {})}])
    runner = lab.runner()
    handle = runner.submit(lab.job("echo one; exit 3"), KEY)
    outcome = finish(runner, handle, settle(runner, handle))
    assert outcome.exit_code == 3
    assert "not in CloudWatch Logs" in outcome.tail
    assert (driver or "no log driver") in outcome.tail
    assert runner.logs(handle, None) == ([], None)
    assert runner.logs(handle, None) == ([], None)
    assert caplog.text.count("not in CloudWatch Logs") == 1


@pytest.mark.parametrize("kind", [Kind.DENIED, Kind.UNAVAILABLE])
@pytest.mark.parametrize("method", ["GetLogEvents", "DescribeTaskDefinition"])
def test_output_that_cannot_be_read_is_told_once_and_changes_nothing(
    lab: Lab, method: str, kind: Kind, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("starlake_core_fargate.output._TOTAL_SECONDS", 0.0)
    monkeypatch.setattr("starlake_core_fargate.output._ARRIVES", ())
    runner = lab.runner()
    handle = runner.submit(lab.job("echo one; exit 3"), KEY)
    lab.ecs.faults.plan(method, *[Fault(kind)] * 40)
    outcome = finish(runner, handle, settle(runner, handle))
    assert (outcome.verdict, outcome.exit_code, outcome.tail) == (Verdict.FAILED, 3, "")
    assert runner.logs(handle, None) == ([], None)
    assert caplog.text.count("the output of tasks cannot be read") == 1
    assert ("logs:GetLogEvents" in caplog.text or "ecs:DescribeTaskDefinition" in caplog.text) == (kind is Kind.DENIED)


def test_output_of_a_task_that_ecs_forgot_is_read_only_where_its_secrets_are_known(lab: Lab) -> None:
    runner = lab.runner()
    handle = runner.submit(lab.job("echo one"), KEY)
    settle(runner, handle)
    until(lambda: runner.logs(handle, None)[0] == ["one"], "the output is there")
    container = lab.ecs._tasks[handle]
    lab.ecs.forget(handle)
    assert lab.runner().logs(handle, None) == ((), None)
    lab.ecs._tasks[handle] = container
    assert runner.logs(handle, None)[0] == ["one"]
