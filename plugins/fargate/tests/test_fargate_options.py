"""What the options are, and what a wrong one says when the pipeline is built."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fargate_lab import orchestration
from starlake_core_fargate.options import FargateOptions

from starlake_core import Job, OptionsError
from starlake_core.model.command import load_command

OPTIONS: dict[str, Any] = {
    "aws_cluster_name": "c",
    "aws_task_definition_name": "t",
    "aws_task_definition_container_name": "starlake",
    "aws_task_private_subnets": "subnet-0a",
}


def job(**options: Any) -> Job:
    opened = orchestration({**OPTIONS, **options})
    return opened.plugins.create_job(command=load_command("load_orders", "sales", "orders"), options=opened.options)


def test_the_options_of_earlier_generators_have_the_same_names_and_defaults() -> None:
    declared = {option.name: option for option in FargateOptions.declared}
    for name, default in {
        "aws_profile": "default",
        "aws_region": "eu-west-3",
        "aws_task_private_subnets": (),
        "aws_task_security_groups": (),
        "cpu": 1024,
        "memory": 2048,
        "fargate_async": True,
        "fargate_async_poke_interval": 30,
        "retry_on_failure": False,
        "retry_delay_in_seconds": None,
        "AWS_SDK": "/usr/local/aws-cli",
    }.items():
        assert declared[name].default == default, name
    required = {option.name for option in FargateOptions.declared if option.required}
    assert required == {"aws_cluster_name", "aws_task_definition_name", "aws_task_definition_container_name"}
    assert "aws_conn_id" in declared
    assert all(option.doc.endswith(".") for option in declared.values())


@pytest.mark.parametrize("subnets", [["subnet-0a", "subnet-0b"], "subnet-0a,subnet-0b", " subnet-0a , subnet-0b"])
def test_subnets_are_a_list_or_a_text_with_commas(subnets: Any) -> None:
    assert job(aws_task_private_subnets=subnets).spec["subnets"] == ["subnet-0a", "subnet-0b"]


@pytest.mark.parametrize("text", ["0.05", 0.05, "30", "2m"])
def test_the_poll_interval_takes_parts_of_a_second(text: Any) -> None:
    expected = {"0.05": 0.05, 0.05: 0.05, "30": 30.0, "2m": 120.0}[text]
    assert job(fargate_async_poke_interval=text).spec["service"]["interval"] == expected


def test_options_of_one_task_are_its_own() -> None:
    given = {**OPTIONS, "kpi.overview": {"cpu": 4096, "memory": "8192", "aws_tags": '{"size": "large"}'}}
    opened = orchestration(given)
    with opened, opened.sl_create_pipeline(name="p") as pipeline:
        small = pipeline.sl_transform(transform_name="kpi.sales").job
        large = pipeline.sl_transform(transform_name="kpi.overview").job
    assert small is not None
    assert large is not None
    assert (small.spec["cpu"], large.spec["cpu"], large.spec["memory"]) == (1024, 4096, 8192)
    assert large.spec["tags"] == {"size": "large"}
    assert small.endpoint == large.endpoint


@pytest.mark.parametrize(
    "option",
    [
        {"aws_region": "us-east-1"},
        {"aws_region": "eusc-de-east-1"},
        {"aws_profile": "other"},
        {"aws_cluster_name": "other"},
        {"aws_endpoint_url": "http://localhost:5000"},
        {"fargate_async": False},
        {"fargate_async_poke_interval": 5},
        {"fargate_follow_logs": True},
        {"fargate_missing_grace": 5},
    ],
    ids=lambda option: next(iter(option)),
)
def test_what_the_runner_is_made_of_is_in_the_endpoint(option: dict[str, Any]) -> None:
    assert job().endpoint == job(cpu=2048, aws_tags={"a": "b"}).endpoint
    assert job(**option).endpoint != job().endpoint


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"aws_cluster_name": None}, ["'aws_cluster_name' of plugin 'fargate' is required", "SL_AWS_CLUSTER_NAME"]),
        ({"aws_task_definition_name": None}, ["'aws_task_definition_name' of plugin 'fargate' is required"]),
        ({"aws_task_definition_container_name": None}, ["'aws_task_definition_container_name'", "is required"]),
        ({"aws_cluster_name": " "}, ["'aws_cluster_name' of plugin 'fargate' is empty", "exists in ECS"]),
        (
            {"aws_task_private_subnets": ""},
            ["'aws_task_private_subnets' of plugin 'fargate' is empty", "needs a subnet"],
        ),
        ({"aws_task_private_subnets": "vpc-1"}, ["has 'vpc-1'", "ids separated by commas, such as subnet-"]),
        ({"aws_task_private_subnets": "['subnet-1', 'subnet-2']"}, ["\"['subnet-1'\"", "ids separated by commas"]),
        ({"aws_task_private_subnets": "subnet-1 subnet-2"}, ["'subnet-1 subnet-2'", "ids separated by commas"]),
        ({"aws_task_private_subnets": 5}, ["aws_task_private_subnets"]),
        ({"aws_task_private_subnets": [f"subnet-{n}" for n in range(17)]}, ["has 17 ids; ECS allows at most 16"]),
        ({"aws_task_security_groups": "subnet-1"}, ["'aws_task_security_groups'", "has 'subnet-1'", "sg-"]),
        ({"aws_task_security_groups": [f"sg-{n}" for n in range(6)]}, ["has 6 ids; ECS allows at most 5"]),
        ({"aws_region": "Paris"}, ["'aws_region' of plugin 'fargate' is 'Paris'", "eu-west-3"]),
        ({"aws_endpoint_url": "localhost:5000"}, ["'aws_endpoint_url'", "http:// or https://"]),
        ({"aws_tags": '{"team": '}, ["'aws_tags'", "JSON object"]),
        ({"aws_tags": {"aws:x": "1"}}, ["'aws_tags'", "are reserved for AWS"]),
        ({"aws_tags": {"x": "a#b"}}, ["'aws_tags'", "'x': 'a#b'", "letters, digits"]),
        ({"aws_tags": {"x": {"y": 1}}}, ["'aws_tags'", "a value at most 256"]),
        ({"aws_tags": {"x": "v" * 257}}, ["'aws_tags'", "at most 256"]),
        ({"aws_tags": {f"t{n}": "" for n in range(49)}}, ["has 49 tags"]),
        ({"aws_assign_public_ip": "yes"}, ["'aws_assign_public_ip'", "DISABLED, ENABLED"]),
        ({"cpu": 0}, ["'cpu'", "at least 1"]),
        ({"memory": "2GB"}, ["'memory'", "a whole number"]),
        ({"fargate_async_poke_interval": 0}, ["'fargate_async_poke_interval'", "greater than 0"]),
        ({"fargate_async_poke_interval": "soon"}, ["'fargate_async_poke_interval'", "greater than 0"]),
        ({"fargate_async": "maybe"}, ["'fargate_async'", "true or false"]),
        ({"sl_env_var": {"BIG": "x" * 8200}}, ["'load_orders'", "8192", "task definition"]),
        ({"sl_env_var": {"BIG": "x" * 7800}}, ["'load_orders'", "8192", "that a run can add"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_option_is_told_when_the_pipeline_is_built(options: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(OptionsError) as error:
        job(**options)
    for word in words:
        assert word in str(error.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(OptionsError) as error:
        job(aws_task_private_subnets="vpc-1", aws_region="Paris", aws_tags={"aws:x": 1})
    assert len(error.value.problems) == 3


def test_a_job_is_one_line_of_json_without_its_secrets() -> None:
    made = job(sl_env_var={"DB_PASSWORD": "hunter22"})
    assert Job.from_json(made.to_json()) == made
    assert "hunter22" not in repr(made)
    json.loads(made.to_json())


@pytest.mark.parametrize(
    ("delays", "seconds"),
    [({}, 300), ({"retry_delay_in_seconds": 60}, 60), ({"retry_delay_in_seconds": "60", "retry_delay": 5}, 5)],
)
def test_the_retry_delay_has_an_earlier_name(delays: dict[str, Any], seconds: int) -> None:
    opened = orchestration({**OPTIONS, **delays})
    assert opened.options["retry_delay"] == seconds
