"""What ECS would refuse is said while a pipeline is drawn: limits, options that are none, and what is passed on."""

from __future__ import annotations

import copy
import json
import logging
import sys
from dataclasses import replace
from typing import Any

import pytest
from fargate_lab import KEY, Lab, orchestration
from starlake_core_fargate.documents import refusals
from starlake_core_fargate.limits import LIMITS, Asked
from starlake_core_fargate.options import FargateOptions
from starlake_core_fargate.request import command_line, run_task_request

from starlake_core import Job, OptionsError, RunnerError, check_limits
from starlake_core.model.command import load_command
from starlake_core.testing.lab import settle

PLACE: dict[str, Any] = {
    "aws_cluster_name": "c",
    "aws_task_definition_name": "t",
    "aws_task_definition_container_name": "starlake",
    "aws_task_private_subnets": "subnet-0a",
}


def job(**options: Any) -> Job:
    opened = orchestration({**PLACE, **options})
    return opened.plugins.create_job(command=load_command("load_orders", "sales", "orders"), options=opened.options)


def asked(
    region: str = "eu-west-3",
    network: dict[str, Any] | None = None,
    overrides: dict[str, Any] | None = None,
    container: dict[str, Any] | None = None,
    **request: Any,
) -> Asked:
    containers = [{"name": "starlake", "command": ["load"], "environment": [], **(container or {})}]
    made = {
        "cluster": "c",
        "taskDefinition": "t",
        "networkConfiguration": {
            "awsvpcConfiguration": {"subnets": ["subnet-0a"], "securityGroups": ["sg-0a"], **(network or {})}
        },
        "overrides": {"containerOverrides": containers, **(overrides or {})},
        "tags": [],
        **request,
    }
    return Asked(region, made)


def tags(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"key": name, "value": value} for name, value in pairs]


def spread(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"capacityProvider": f"FARGATE{n}", "weight": 1, **more} for n in range(count)]


def named(name: str) -> dict[str, Any]:
    return {"environment": [{"name": name, "value": ""}]}


def of_container(**override: Any) -> dict[str, Any]:
    return {"overrides": {"containerOverrides": [override]}}


AROUND: dict[str, tuple[Asked, Asked, str]] = {
    "subnets of a task": (asked(), asked(network={"subnets": []}), "needs a subnet"),
    "ids of subnets, in aws_network_configuration too": (asked(), asked(network={"subnets": ["vpc-1"]}), "has 'vpc-1'"),
    "number of subnets, in aws_network_configuration too": (
        asked(network={"subnets": [f"subnet-{n}" for n in range(16)]}),
        asked(network={"subnets": [f"subnet-{n}" for n in range(17)]}),
        "has 17 ids; ECS allows at most 16",
    ),
    "ids of security groups, in aws_network_configuration too": (
        asked(),
        asked(network={"securityGroups": ["subnet-1"]}),
        "has 'subnet-1'",
    ),
    "number of security groups, in aws_network_configuration too": (
        asked(network={"securityGroups": [f"sg-{n}" for n in range(5)]}),
        asked(network={"securityGroups": [f"sg-{n}" for n in range(6)]}),
        "has 6 ids; ECS allows at most 5",
    ),
    "length of a tag": (
        asked(tags=tags(("n" * 128, "v" * 256))),
        asked(tags=tags(("n" * 129, ""))),
        "1 to 128 characters",
    ),
    "tag names": (asked(tags=tags(("my:aws:x", ""))), asked(tags=tags(("AWS:x", ""))), "are reserved for AWS"),
    "characters of a tag": (
        asked(tags=tags(("é a", "+-=._:/@"))),
        asked(tags=tags(("x", "a#b"))),
        "has the tag 'x': 'a#b'",
    ),
    "number of tags": (
        asked(tags=tags(*((f"t{n}", "") for n in range(50)))),
        asked(tags=tags(*((f"t{n}", "") for n in range(51)))),
        "has 49 tags; at most 48 are allowed",
    ),
    "region": (asked(region="eusc-de-east-1"), asked(region="EU-WEST-3"), "'EU-WEST-3', which is not an AWS region"),
    "overrides of a task": (
        asked(container={"command": ["x" * 8000]}),
        asked(container={"command": ["x" * 8192]}),
        "and ECS allows 8192",
    ),
    "name of a variable": (asked(container=named("A")), asked(container=named("A=B")), "'A=B' is not a valid name"),
    "name of a variable, for programs": (
        asked(container=named("MY_VAR")),
        asked(container=named("MY VAR")),
        "variable 'MY VAR' may not reach",
    ),
    "cluster name": (
        asked(cluster="arn:aws:ecs:eu-west-3:123456789012:cluster/c"),
        asked(cluster="my cluster"),
        "'my cluster'",
    ),
    "task definition name": (asked(taskDefinition="t:12"), asked(taskDefinition="t:latest"), "'t:latest'"),
    "name of a container": (
        asked(container={"name": "Star_lake-2"}),
        asked(container={"name": "star.lake"}),
        "'star.lake'",
    ),
    "platform version": (
        asked(platformVersion="1.4.0"),
        asked(platformVersion="banana"),
        "'banana' is not a platform version; set aws_platform_version",
    ),
    "launch type and capacity providers": (
        asked(launchType="FARGATE"),
        asked(launchType="FARGATE", capacityProviderStrategy=spread(1)),
        "remove launchType",
    ),
    "number of capacity providers": (
        asked(capacityProviderStrategy=spread(20)),
        asked(capacityProviderStrategy=spread(21)),
        "21 capacity providers",
    ),
    "weight and base of a capacity provider": (
        asked(capacityProviderStrategy=spread(1, weight=1000, base=100_000)),
        asked(capacityProviderStrategy=spread(1, weight=1001)),
        "has weight 1001",
    ),
    "weights of several capacity providers": (
        asked(capacityProviderStrategy=[*spread(1), *spread(1, weight=0)]),
        asked(capacityProviderStrategy=spread(2, weight=0)),
        "none has a weight",
    ),
    "ephemeral storage": (
        asked(overrides={"ephemeralStorage": {"sizeInGiB": 200}}),
        asked(overrides={"ephemeralStorage": {"sizeInGiB": 20}}),
        "is 20 GiB",
    ),
    "size of a task": (
        asked(overrides={"cpu": "2 vCPU", "memory": "16 GB"}),
        asked(overrides={"cpu": "2048", "memory": "20480"}),
        "not offer a task with cpu '2048' and memory '20480'",
    ),
    "size of a container": (
        asked(container={"cpu": 2048}, overrides={"cpu": "2048", "memory": "4096"}),
        asked(container={"cpu": 2049}, overrides={"cpu": "2048", "memory": "4096"}),
        "requests cpu 2049, but the task has at most 2048",
    ),
    "placement constraints": (
        asked(placementConstraints=[{"type": "distinctInstance"}] * 10),
        asked(placementConstraints=[{"type": "distinctInstance"}] * 11),
        "11 placementConstraints",
    ),
    "expression of a placement constraint": (
        asked(placementConstraints=[{"type": "memberOf", "expression": "x" * 2000}]),
        asked(placementConstraints=[{"type": "memberOf", "expression": "x" * 2001}]),
        "has 2001 characters",
    ),
    "placement strategy": (
        asked(placementStrategy=[{"type": "random"}] * 5),
        asked(placementStrategy=[{"type": "random"}] * 6),
        "6 rules",
    ),
    "propagation of tags": (asked(propagateTags="TASK_DEFINITION"), asked(propagateTags="SERVICE"), "is SERVICE"),
}


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.about)
def test_each_limit_takes_what_is_within_and_tells_what_is_beyond(limit: Any, caplog: pytest.LogCaptureFixture) -> None:
    within, beyond, said = AROUND[limit.about]
    assert limit.problems(within) == []
    (problem,) = limit.problems(beyond)
    assert said in problem
    assert limit.allowed in problem
    check_limits(LIMITS, within, "task 'x'")
    assert not caplog.records
    if limit.source:
        with pytest.raises(OptionsError, match=r"task 'x': ") as error:
            check_limits(LIMITS, beyond, "task 'x'")
        assert limit.source in str(error.value)
    else:
        with caplog.at_level(logging.WARNING):
            check_limits(LIMITS, beyond, "task 'x'")
        assert "the service decides" in caplog.text


def test_each_limit_has_an_example() -> None:
    assert [limit.about for limit in LIMITS] == list(AROUND)


@pytest.mark.parametrize(
    ("overrides", "fits"),
    [
        ({"cpu": "256", "memory": "512"}, True),
        ({"cpu": ".25 vCPU"}, False),
        ({"cpu": "0.25 vCPU", "memory": "0.5 GB"}, True),
        ({"cpu": "16384", "memory": "122880"}, True),
        ({"cpu": "8192", "memory": "17408"}, False),
        ({"cpu": "1000"}, False),
        ({"memory": "3 GB"}, True),
        ({"memory": "2 TB"}, False),
    ],
)
def test_sizes_of_tasks_are_those_of_fargate(overrides: dict[str, str], fits: bool) -> None:
    (limit,) = (limit for limit in LIMITS if limit.about == "size of a task")
    assert (limit.problems(asked(overrides=overrides)) == []) is fits
    assert limit.problems(asked(overrides=overrides, launchType="EC2")) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sl_env_var": {"BIG": "x" * 8200}}, ["task 'load_orders': its command and variables", "API_RunTask"]),
        ({"aws_tags": {f"t{n}": "" for n in range(49)}}, ["has 49 tags", "API_RunTask"]),
        ({"aws_region": "EU-WEST-3"}, ["'EU-WEST-3'", "in lower case"]),
        ({"aws_cluster_name": "a b"}, ["'a b'", "aws ecs list-clusters"]),
        ({"aws_platform_version": "latest"}, ["'latest'", "platform-fargate"]),
        ({"cpu": 32_768}, ["requests cpu 32768, but the task has at most 16384"]),
        ({"memory": 200_000}, ["requests memory 200000"]),
        ({"aws_run_task": {"overrides": {"ephemeralStorage": {"sizeInGiB": 500}}}}, ["is 500 GiB", "21 to 200 GiB"]),
        ({"aws_run_task": {"overrides": {"cpu": "512", "memory": "1024"}}}, ["requests cpu 1024, but the task has at most 512"]),
        ({"aws_run_task": {"overrides": {"cpu": "3000"}}}, ["not offer a task with cpu '3000'"]),
        ({"aws_run_task": {"propagateTags": "SERVICE"}}, ["write TASK_DEFINITION"]),
        ({"aws_run_task": {"launchType": "EC2"}, "aws_capacity_provider": "FARGATE_SPOT"}, ["remove launchType"]),
        ({"aws_run_task": of_container(name="proxy", **named("A=B"))}, ["'A=B' is not a valid name"]),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_what_ecs_refuses_is_refused_when_the_pipeline_is_drawn(options: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(OptionsError) as error:
        job(**options)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("name", ["", "A=B", "MY VAR", "é"])
def test_names_of_variables_are_refused(name: str) -> None:
    with pytest.raises(OptionsError, match="'sl_env_var'"):
        job(sl_env_var={name: "1"})


# options that are none


@pytest.mark.parametrize(
    ("name", "what_to_type"),
    [
        ("aws_overrides", "Write aws_run_task: {'overrides': {'taskRoleArn': 'ARN'}}"),
        ("aws_task_role_arn", "Write aws_run_task: {'overrides': {'taskRoleArn': 'ARN'}}"),
        ("aws_execution_role_arn", "Write aws_run_task: {'overrides': {'executionRoleArn': 'ARN'}}"),
        ("aws_ephemeral_storage", "{'overrides': {'ephemeralStorage': {'sizeInGiB': 100}}}"),
        ("aws_task_cpu", "{'overrides': {'cpu': '2048', 'memory': '8192'}}"),
        ("aws_capacity_provider_strategy", "{'capacityProviderStrategy': [{"),
        ("aws_launch_type", "{'launchType': 'EC2'}"),
        ("aws_enable_execute_command", "{'enableExecuteCommand': True}"),
        ("aws_propagate_tags", "{'propagateTags': 'TASK_DEFINITION'}"),
        ("aws_placement_constraints", "{'placementConstraints': "),
        ("aws_volume_configurations", "{'volumeConfigurations': "),
        ("aws_efs_volumes", "efsVolumeConfiguration"),
        ("aws_log_group", "awslogs-group"),
        ("aws_secrets", "secrets: [{'name': 'DB_PASSWORD', 'valueFrom': 'ARN'}]"),
        ("aws_image", "aws ecs register-task-definition --cli-input-json file://TASK.json"),
        ("aws_secret_access_key", "Credentials cannot be options"),
        ("aws_subnets", "Write aws_task_private_subnets: 'subnet-0123abcd,subnet-4567cdef'"),
        ("fargate_ephemeral_storage", "Write aws_run_task: {'overrides': {'ephemeralStorage'"),
    ],
)
def test_what_belongs_elsewhere_is_told_with_what_to_type(name: str, what_to_type: str) -> None:
    with pytest.raises(OptionsError, match=f"'{name}' is not an option of plugin 'fargate'") as error:
        job(**{name: "hunter22"})
    assert what_to_type in str(error.value)
    assert "hunter22" not in str(error.value)


@pytest.mark.parametrize("name", ["aws_banana", "fargate_banana"])
def test_other_names_of_the_plugin_are_refused(name: str) -> None:
    with pytest.raises(OptionsError, match=f"unknown option '{name}': plugin 'fargate' has no such option"):
        job(**{name: "x"})
    declared = {option.name for option in FargateOptions.declared}
    assert declared.isdisjoint(FargateOptions.elsewhere)


# what is passed on

SPOT = [{"capacityProvider": "FARGATE_SPOT", "weight": 3}, {"capacityProvider": "FARGATE", "weight": 1, "base": 1}]
EXAMPLES: list[dict[str, Any]] = [
    {"overrides": {"ephemeralStorage": {"sizeInGiB": 100}}},
    {"overrides": {"taskRoleArn": "arn:aws:iam::123456789012:role/a", "executionRoleArn": "arn:aws:iam::123456789012:role/b"}},
    {"overrides": {"cpu": "2048", "memory": "8192"}},
    {"capacityProviderStrategy": SPOT},
    {"enableExecuteCommand": True},
    {"propagateTags": "TASK_DEFINITION", "enableECSManagedTags": True},
    {"launchType": "EC2", "placementConstraints": [{"type": "distinctInstance"}]},
    {"launchType": "EC2", "placementStrategy": [{"type": "spread", "field": "attribute:ecs.availability-zone"}]},
    {"volumeConfigurations": [{"name": "data", "managedEBSVolume": {"roleArn": "arn:aws:iam::123456789012:role/ebs", "sizeInGiB": 100}}]},
    {"platformVersion": "1.4.0", "group": "nightly"},
    {"tags": [{"key": "cost", "value": "42"}]},
    of_container(name="log-router", command=["--verbose"], environment=[{"name": "LEVEL", "value": "debug"}]),
    of_container(name="starlake", memoryReservation=1024, environment=[{"name": "EXTRA", "value": "1"}]),
]  # fmt: skip


def includes(whole: Any, part: Any) -> bool:
    """Whether a request says all that a document says, whatever it says besides."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(name in whole and includes(whole[name], part[name]) for name in part)
    if isinstance(part, list) and part and isinstance(part[0], dict):
        return all(any(includes(one, item) for one in whole) for item in part)
    return bool(whole == part)


@pytest.mark.parametrize("document", EXAMPLES, ids=lambda value: json.dumps(value)[:60])
def test_an_example_is_taken_by_the_sdk_and_arrives(document: dict[str, Any], lab: Lab) -> None:
    made = lab.job("true", aws_run_task=document)
    request = run_task_request(made.spec, made.arguments, made.env, KEY)
    assert refusals(request) == []
    assert includes(request, document)
    assert request["overrides"]["containerOverrides"][0]["name"] == "starlake"
    runner = lab.runner(made)
    handle = runner.submit(made, KEY)
    (told,) = lab.ecs.client("ecs").describe_tasks(cluster="starlake", tasks=[handle], include=["TAGS"])["tasks"]
    shown = ("overrides", "enableExecuteCommand", "platformVersion", "group", "tags", "launchType")
    assert includes(told, {name: value for name, value in document.items() if name in shown})
    if "capacityProviderStrategy" in document:
        assert told["capacityProviderName"] == "FARGATE_SPOT"
        assert "launchType" not in told
    if "ephemeralStorage" in document.get("overrides", {}):
        assert told["ephemeralStorage"] == {"sizeInGiB": 100}
    assert settle(runner, handle).succeeded
    assert runner.submit(made, KEY) == handle


def test_a_document_may_be_json_and_is_only_in_its_own_jobs() -> None:
    document = EXAMPLES[0]
    made = job(aws_run_task=document)
    assert job(aws_run_task=json.dumps(document)) == made
    assert made.spec["run_task"] == document
    assert {name: value for name, value in made.spec.items() if name != "run_task"} == job().spec
    assert made.endpoint == job().endpoint
    assert job(aws_run_task={}, aws_network_configuration={}) == job()


@pytest.mark.parametrize("wrapped", [False, True])
def test_the_network_may_be_a_document(wrapped: bool) -> None:
    inner = {"subnets": ["subnet-1", "subnet-2"], "securityGroups": ["sg-1"], "assignPublicIp": "ENABLED"}
    document = {"awsvpcConfiguration": inner} if wrapped else inner
    by_document = job(aws_task_private_subnets="", aws_network_configuration=document)
    by_options = job(
        aws_task_private_subnets="subnet-1,subnet-2",
        aws_task_security_groups="sg-1",
        aws_assign_public_ip="ENABLED",
    )
    assert by_document == by_options


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"subnets": ["subnet-9"]}, "has subnets, and so has the option aws_task_private_subnets; remove one of them"),
        ({"subnets": "subnet-0a"}, "subnets is 'subnet-0a'; it must be a list of ids"),
        ({"vpc": "vpc-1"}, 'Unknown parameter in networkConfiguration.awsvpcConfiguration: "vpc"'),
        ({"assignPublicIp": "YES"}, "value: YES, valid values: ENABLED, DISABLED"),
        ({"securityGroups": [f"sg-{n}" for n in range(6)]}, "has 6 ids; ECS allows at most 5"),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_a_network_that_cannot_be_is_refused(document: dict[str, Any], said: str) -> None:
    given = "" if isinstance(document.get("subnets"), str) else "subnet-0a"
    with pytest.raises(OptionsError) as error:
        job(aws_network_configuration=document, aws_task_private_subnets=given)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"banana": 1}, 'Unknown parameter in input: "banana"'),
        ({"enableExecuteCommand": "yes"}, "Invalid type for parameter enableExecuteCommand"),
        ({"overrides": {"cpu": 1024}}, "Invalid type for parameter overrides.cpu"),
        ({"overrides": {"ephemeralStorage": {"size": 3}}}, 'Unknown parameter in overrides.ephemeralStorage: "size"'),
        ({"capacityProviderStrategy": [{"weight": 1}]}, 'Missing required parameter in capacityProviderStrategy[0]: "capacityProvider"'),
        ({"propagateTags": "ALL"}, "propagateTags, value: ALL, valid values: TASK_DEFINITION, SERVICE, NONE"),
        ({"placementStrategy": [{"type": "near"}]}, "placementStrategy[0].type, value: near, valid values: random, spread, binpack"),
        ({"overrides": {"containerOverrides": {"name": "a"}}}, "containerOverrides must be a list of mappings"),
        ({"overrides": {"containerOverrides": [{"name": "a"}, {"name": "a"}]}}, "containerOverrides has 'a' twice"),
        ({"overrides": "x"}, "has overrides, which starlake_core itself sets"),
        ({"cluster": "other"}, "has cluster, which belongs to the option aws_cluster_name"),
        ({"taskDefinition": "other"}, "belongs to the option aws_task_definition_name"),
        ({"count": 2}, "has count, which is always 1, because an attempt is one task"),
        ({"clientToken": "x"}, "has clientToken, which is derived from the name of the attempt"),
        ({"startedBy": "x"}, "has startedBy, which is the name by which attempts are found"),
        ({"tags": [{"key": "team", "value": "other"}]}, "has tags.team, which belongs to the option aws_tags"),
        ({"platformVersion": "1.3.0"}, "belongs to the option aws_platform_version, which is set too"),
        ({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-9"]}}}, "belongs to the options aws_network_configuration"),
        (of_container(command=["stage"]), "containerOverrides.starlake.command, which is the Starlake command"),
        (of_container(name="starlake", cpu=99), "which belongs to the option cpu"),
        (of_container(name="starlake", **named("SL_ENV")), "environment.SL_ENV, which belongs to the option sl_env_var"),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_a_document_that_cannot_be_sent_is_refused(document: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionsError, match=r"task 'load_orders': option 'aws_run_task' ") as error:
        job(
            aws_run_task=document,
            aws_tags={"team": "data"},
            aws_platform_version="1.4.0",
            sl_env_var={"SL_ENV": "PROD"},
        )
    assert said in str(error.value)


@pytest.mark.parametrize(
    "environment", [{"DB_PASSWORD": "82461937"}, [{"name": "DB_PASSWORD", "value": 82461937}]], ids=["map", "number"]
)
def test_a_refusal_of_the_sdk_tells_no_secret(environment: Any) -> None:
    with pytest.raises(OptionsError, match="environment") as error:
        job(aws_run_task=of_container(name="proxy", environment=environment))
    assert "82461937" not in str(error.value)


def test_a_strategy_and_a_provider_are_a_conflict() -> None:
    with pytest.raises(OptionsError, match=r"has capacityProviderStrategy, which belongs to the option aws_capacity_"):
        job(aws_run_task={"capacityProviderStrategy": SPOT}, aws_capacity_provider="FARGATE_SPOT")


def test_secrets_of_other_containers_are_hidden() -> None:
    env = [{"name": "DB_PASSWORD", "value": "hunter22"}, {"name": "LEVEL", "value": "debug"}]
    other = {"name": "token-proxy", "command": ["--token", "hunter22"], "environment": env}
    made = job(aws_run_task={"overrides": {"containerOverrides": [other], "cpu": "2048"}}, aws_profile="data")
    line = command_line(made)
    assert "hunter22" not in repr(made) + line
    assert line.startswith("aws ecs run-task --region eu-west-3 --profile data --cli-input-json '{")
    shown = json.loads(line.partition("--cli-input-json '")[2].rstrip("'"))
    assert shown["overrides"]["cpu"] == "2048"
    assert shown["overrides"]["containerOverrides"][1]["environment"] == [
        {"name": "DB_PASSWORD", "value": "***"},
        {"name": "LEVEL", "value": "debug"},
    ]


def test_where_the_sdk_is_not_installed_the_worker_checks(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, lab: Lab
) -> None:
    runner = lab.runner()
    from starlake_core_fargate import documents

    with monkeypatch.context() as patch, caplog.at_level(logging.INFO):
        documents._shape.cache_clear()
        patch.setitem(sys.modules, "botocore.validate", None)
        wrong = [
            lab.job(aws_run_task=document)
            for document in (
                {"banana": 1},
                {"capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": "heavy"}]},
            )
        ]
    assert "is checked by the worker: boto3 is not installed here" in caplog.text
    for one in wrong:
        with pytest.raises(RunnerError, match=r"(banana|capacityProviderStrategy)"):
            runner.submit(copy.deepcopy(replace(one)), KEY)
