"""Every mistake that a user can make has a message that says what to do. None of them is tried again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from emulators.ecs import BUCKET
from emulators.faults import Fault, Kind
from fargate_lab import KEY, ROOT, Lab, orchestration

from starlake_core import Command, Job, OutageError, RunnerError
from starlake_core.runtime import Credentials, Verdict, poller, runner_for, wait
from starlake_core.testing.lab import settle

CREDENTIALS_HINT = "needs valid credentials"


def refused(lab: Lab, **options: object) -> str:
    """The message of a job with these options."""
    job = lab.job(**options)
    with pytest.raises(RunnerError) as error:
        lab.runner(job).submit(job, KEY)
    assert not lab.ecs.containers.all
    return str(error.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"aws_cluster_name": "starlak"},
            ["ClusterNotFound", "no such cluster in eu-west-3", "aws_cluster_name", "create-cluster"],
        ),
        ({"aws_region": "us-east-1"}, ["ClusterNotFound", "no such cluster in us-east-1", "aws_region"]),
        ({"aws_task_definition_name": "starlak"}, ["TaskDefinition not found", "aws_task_definition_name"]),
        (
            {"aws_task_definition_container_name": "starlak"},
            ["named starlak is not a container", "Set aws_task_definition_container_name"],
        ),
        ({"aws_task_private_subnets": "subnet-0"}, ["'subnet-0' does not exist", "Correct aws_task_private_subnets"]),
        ({"aws_task_security_groups": "sg-0"}, ["'sg-0' does not exist", "Correct aws_task_security_groups"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_does_not_exist(lab: Lab, options: dict[str, str], words: list[str]) -> None:
    message = refused(lab, **options)
    for word in words:
        assert word in message
    assert lab.ecs.faults.calls["RunTask"] == 1


def test_a_wrong_cluster_is_told_by_every_method(lab: Lab) -> None:
    handle = lab.runner().submit(lab.job("sleep 60"), KEY)
    job = lab.job(aws_cluster_name="starlak")
    runner = lab.runner(job)
    assert "aws_cluster_name" in str(runner.poll([handle])[handle].error)
    for call in (lambda: runner.find(job, KEY.task), lambda: runner.cancel(handle)):
        with pytest.raises(RunnerError, match="aws_cluster_name"):
            call()
    assert runner.logs(handle, None) == ((), None)  # output is best effort
    assert runner.tail(handle, 5) == ()


def test_no_credentials(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    message = refused(lab)
    for word in (CREDENTIALS_HINT, "AWS_ACCESS_KEY_ID", "aws_profile", "'default'"):
        assert word in message


def test_half_of_the_credentials(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "AWS_SECRET_ACCESS_KEY" in refused(lab)


def test_a_profile_that_does_not_exist(lab: Lab) -> None:
    message = refused(lab, aws_profile="prod")
    for word in ("(prod) could not be found", "aws configure --profile prod", "option aws_profile"):
        assert word in message


def test_the_default_profile_needs_no_file(lab: Lab, tmp_path: Path) -> None:
    assert not (tmp_path / "config").exists()
    assert lab.run(lab.job(aws_profile="default")).succeeded


def test_a_profile_gives_the_credentials(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "credentials").write_text("[prod]\naws_access_key_id = a\naws_secret_access_key = b\n")
    assert lab.run(lab.job(aws_profile="prod")).succeeded


def test_the_orchestrator_can_give_the_credentials(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    made = Credentials("prod", {"aws": lambda: boto3.Session(aws_access_key_id="a", aws_secret_access_key="b")})
    job = lab.job()
    runner = runner_for(job, credentials=made)
    assert settle(runner, runner.submit(job, KEY)).succeeded


def test_a_profile_that_does_not_exist_is_told_where_the_runner_is_made(lab: Lab) -> None:
    with pytest.raises(RunnerError, match="aws configure --profile prod"):
        runner_for(lab.job(aws_profile="prod"))


@pytest.mark.parametrize("code", ["ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException"])
def test_credentials_that_are_not_valid(lab: Lab, code: str) -> None:
    lab.ecs.refuse("RunTask", code, "The security token included in the request is expired")
    message = refused(lab)
    assert code in message
    assert CREDENTIALS_HINT in message


def test_a_region_that_nobody_has(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    job = lab.job(aws_region="eu-nowhere-9", aws_endpoint_url=None)
    runner = lab.runner(job)
    _without_network(runner)
    with pytest.raises(RunnerError, match=r"does not know a region 'eu-nowhere-9': correct the option aws_region"):
        runner.submit(job, KEY)


def test_a_region_that_does_not_answer_is_an_outage(lab: Lab) -> None:
    job = lab.job(aws_endpoint_url=None)
    runner = lab.runner(job)
    _without_network(runner)
    runner._aws.total_seconds = 0.05
    with pytest.raises(OutageError, match="did not answer"):
        runner.submit(job, KEY)


def _without_network(runner: object) -> None:
    """Every address is one that nobody has, whatever the network of this machine says."""
    from botocore.exceptions import EndpointConnectionError

    def send(request: object, **_: object) -> None:
        raise EndpointConnectionError(endpoint_url=request.url)  # type: ignore[attr-defined]

    runner._aws.client("ecs").meta.events.register("before-send.ecs", send)  # type: ignore[attr-defined]


def test_a_missing_permission_is_named(lab: Lab) -> None:
    lab.ecs.faults.plan("RunTask", Fault(Kind.DENIED))
    assert "Grant the identity of this worker ecs:RunTask (the README" in refused(lab)


def test_a_missing_permission_to_pass_a_role_is_named(lab: Lab) -> None:
    role = "arn:aws:iam::123456789012:role/starlake-task"
    lab.ecs.refuse(
        "RunTask",
        "ClientException",
        f"User: arn:aws:iam::123456789012:user/worker is not authorized to perform: iam:PassRole on resource: {role} because no identity-based "
        "policy allows the iam:PassRole action",
    )
    assert f"Grant the identity of this worker iam:PassRole on {role}" in refused(lab)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ClientException", "You've reached the limit on the number of vCPUs you can run concurrently"),
        ("ThrottlingException", "You've reached the limit on the number of tasks you can run concurrently"),
        ("LimitExceededException", "The limit for the resource was exceeded."),
    ],
)
def test_a_used_up_quota_is_named(lab: Lab, code: str, message: str) -> None:
    lab.ecs.faults.plan("RunTask")
    for _ in range(10):
        lab.ecs.refuse("RunTask", code, message)
    told = refused(lab)
    assert "Service Quotas" in told
    assert "Fargate On-Demand vCPU resource count" in told


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        ("InvalidParameterException", "Invalid 'cpu' setting for task.", "options cpu and memory"),
        ("InvalidParameterException", "The specified capacity provider 'X' was not found.", "aws_capacity_provider"),
        ("PlatformUnknownException", "The specified platform does not exist.", "aws_platform_version"),
        (
            "InvalidParameterException",
            "Task definition does not support launch_type FARGATE.",
            "compatible with FARGATE",
        ),
        ("ClientException", "TaskDefinition is inactive", "aws_task_definition_name"),
        ("BlockedException", "Your account was blocked.", "AWS Support"),
        ("SomethingNew", "Nobody knows.", "See the options of the environment fargate"),
    ],
)
def test_other_refusals(lab: Lab, code: str, message: str, hint: str) -> None:
    lab.ecs.refuse("RunTask", code, message)
    told = refused(lab)
    assert hint in told
    assert message.rstrip(".") in told


def test_overrides_that_grow_too_long_at_run_time(lab: Lab) -> None:
    """What a variable store holds is not known before: the request is measured again, as it is sent."""
    job = replace(lab.job(), arguments=("transform", "--query", "x" * 9000))
    with pytest.raises(
        RunnerError, match=r"with those of the run, are \d+ characters as JSON, and ECS allows 8192.*sl_env_var"
    ):
        lab.runner(job).submit(job, KEY)
    assert lab.ecs.faults.calls["RunTask"] == 0


def test_what_is_accepted_when_it_is_built_is_accepted_with_all_that_a_run_adds(lab: Lab) -> None:
    """The longest variable that is let through, with the longest names, a marker and what placeholders become."""
    from starlake_core import OptionsError
    from starlake_core.model.run import DataInterval, Run
    from starlake_core.testing.lab import SCHEDULED

    end = SCHEDULED
    attempt = Run("p" * 250, "r" * 250, DataInterval(end, end)).attempt("t" * 250, "12345678-" * 6)

    def made(size: int) -> Job:
        command = Command("preload", ("--domain", "sales", "--strategy", "imported"), "check_sales", "sales")
        env = {"SL_ROOT": ROOT, "WHEN": "${sl_data_interval_start}${sl_run_id}", "BIG": "x" * size}
        opened = orchestration({**lab.options, "sl_env_var": env})
        return replace(opened.plugins.create_job(command=command, options=opened.options), check=True)

    low, high = 0, 8200
    while high - low > 1:
        middle = (low + high) // 2
        try:
            made(middle)
            low = middle
        except OptionsError:
            high = middle
    job = made(low).bind(attempt)
    runner = lab.runner(job)
    assert settle(runner, runner.submit(job, attempt.key)).verdict is Verdict.SUCCEEDED


def test_a_bucket_that_does_not_exist(lab: Lab) -> None:
    job = lab.check("true", root="s3://nowhere/project")
    with pytest.raises(RunnerError, match=r"NoSuchBucket.*pre_load_not_ready_sentinel_path or SL_ROOT"):
        lab.runner(job).submit(job, KEY)


def test_a_marker_that_cannot_be_read_is_never_taken_for_ready(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    job = lab.check("true", root=f"s3://{BUCKET}/project")
    runner = lab.runner(job)
    handle = runner.submit(job, KEY)
    lab.ecs.faults.at_random(1.0, [Fault(Kind.DENIED)], 1, spared=("DescribeTasks",))
    monkeypatch.setattr(poller, "PATIENCE_SECONDS", 0.2)
    with pytest.raises(RunnerError, match="s3:ListBucket"):
        wait(runner, handle, timeout=60)


def test_a_marker_in_another_place_is_refused(lab: Lab) -> None:
    job = lab.check("true", sentinel="gs://bucket/x")
    with pytest.raises(RunnerError, match="pre_load_not_ready_sentinel_path"):
        lab.runner(job).submit(job, KEY)
