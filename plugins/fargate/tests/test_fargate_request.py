"""The request of an attempt: always the same bytes, and what it is given arrives as it is."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from emulators.ecs import Ecs
from fargate_lab import Lab
from hypothesis import example, given
from hypothesis import strategies as st
from starlake_core_fargate.client import AwsClient
from starlake_core_fargate.limits import overrides_size
from starlake_core_fargate.request import client_token, largest_request, run_task_request, started_by, with_labels
from starlake_core_fargate.runner import FargateRunner

from starlake_core import DataInterval, Job, OptionsError, Orchestration, Run, RunKey
from starlake_core.testing import RecordingOrchestrator
from starlake_core.testing.lab import settle

SPEC: dict[str, Any] = {
    "cluster": "c",
    "task_definition": "t:3",
    "container": "starlake",
    "subnets": ["subnet-1", "subnet-2"],
    "security_groups": ["sg-1"],
    "assign_public_ip": "DISABLED",
    "cpu": 1024,
    "memory": 2048,
    "tags": {"team": "data"},
    "platform_version": "",
    "capacity_provider": "",
}
KEY = RunKey("sales/run-1/load_orders", "2", 1)
texts = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00"), max_size=40)
keys = st.builds(RunKey, texts, texts, st.integers(0, 3))


def test_the_request_is_always_the_same_to_the_byte() -> None:
    request = run_task_request(SPEC, ("load", "--domains", "sales"), {"SL_ROOT": "s3://b/p", "A": "1"}, KEY)
    assert json.dumps(request, sort_keys=True) == json.dumps(
        {
            "clientToken": client_token(KEY),
            "cluster": "c",
            "count": 1,
            "launchType": "FARGATE",
            "networkConfiguration": {
                "awsvpcConfiguration": {
                    "assignPublicIp": "DISABLED",
                    "securityGroups": ["sg-1"],
                    "subnets": ["subnet-1", "subnet-2"],
                }
            },
            "overrides": {
                "containerOverrides": [
                    {
                        "command": ["load", "--domains", "sales"],
                        "cpu": 1024,
                        "environment": [
                            {"name": "A", "value": "1"},
                            {"name": "SL_ROOT", "value": "s3://b/p"},
                            {"name": "SL_RUN_ATTEMPT", "value": "2"},
                            {"name": "SL_RUN_KEY", "value": "sales/run-1/load_orders~1"},
                            {"name": "SL_RUN_TASK", "value": "sales/run-1/load_orders"},
                        ],
                        "memory": 2048,
                        "name": "starlake",
                    }
                ]
            },
            "startedBy": started_by(KEY.task),
            "tags": [
                {"key": "starlake:attempt", "value": "2"},
                {"key": "starlake:task", "value": "sales/run-1/load_orders"},
                {"key": "team", "value": "data"},
            ],
            "taskDefinition": "t:3",
        },
        sort_keys=True,
    )
    # A token is asked for again after a restart, maybe by another version: it never changes.
    assert client_token(KEY) == "sl-2257a8e8cd200b819c3791dd3bba9d684dae4de9b4dd1bd8"
    assert started_by(KEY.task) == "sl-51becc7b151f"


def test_labels_of_a_job_are_tags() -> None:
    labelled = with_labels(Job("fargate", spec=SPEC, labels={"cost": "sales"}))
    tags = run_task_request(labelled, ("load",), {}, KEY)["tags"]
    assert [tag for tag in tags if not tag["key"].startswith("starlake:")] == [
        {"key": "cost", "value": "sales"},
        {"key": "team", "value": "data"},
    ]


def test_the_order_of_variables_and_tags_does_not_matter() -> None:
    env, tags = {"B": "2", "A": "1"}, {"y": "2", "x": "1"}
    one = run_task_request({**SPEC, "tags": tags}, ("load",), env, KEY)
    other = run_task_request({**SPEC, "tags": dict(sorted(tags.items()))}, ("load",), dict(sorted(env.items())), KEY)
    assert json.dumps(one) == json.dumps(other)


@given(
    st.lists(texts, max_size=6), st.dictionaries(st.from_regex("[A-Z_]{1,8}", fullmatch=True), texts, max_size=4), keys
)
def test_what_it_is_given_is_in_the_request_as_it_is(arguments: list[str], env: dict[str, str], key: RunKey) -> None:
    (override,) = run_task_request(SPEC, arguments, env, key)["overrides"]["containerOverrides"]
    assert override["command"] == arguments
    found = {item["name"]: item["value"] for item in override["environment"]}
    assert found.items() >= env.items()
    assert (found["SL_RUN_TASK"], found["SL_RUN_ATTEMPT"], found["SL_RUN_KEY"]) == (key.task, key.attempt, key.work)


@given(keys, keys)
def test_names_of_an_attempt_are_what_ecs_takes(one: RunKey, other: RunKey) -> None:
    assert re.fullmatch(r"[!-~]{1,64}", client_token(one))
    assert re.fullmatch(r"[A-Za-z0-9_/-]{1,36}", started_by(one.task))
    assert (client_token(one) == client_token(other)) == ((one.task, one.attempt) == (other.task, other.attempt))
    assert (started_by(one.task) == started_by(other.task)) == (one.task == other.task)
    for tag in run_task_request(SPEC, (), {}, one)["tags"]:
        assert re.fullmatch(r"[\w +\-=.:/@]{0,256}", tag["value"])


def test_a_capacity_provider_takes_the_place_of_the_launch_type() -> None:
    request = run_task_request({**SPEC, "capacity_provider": "FARGATE_SPOT", "platform_version": "1.4.0"}, (), {}, KEY)
    assert "launchType" not in request
    assert request["capacityProviderStrategy"] == [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    assert request["platformVersion"] == "1.4.0"


def test_the_size_is_counted_as_ecs_counts_it() -> None:
    assert overrides_size({"a": ["b", "é"]}) == len('{"a":["b","\\u00e9"]}')


names = st.text(st.characters(codec="ascii", exclude_categories=("Cc",), exclude_characters='"\\\\'), max_size=60)


@given(names, names, names, names, names)
@example("p" * 250, "r" * 250, "t" * 250, "d" * 100, "i" * 100)
def test_what_is_checked_is_never_less_than_what_is_sent(
    pipeline: str, run_id: str, task: str, deployment: str, instance: str
) -> None:
    """With all that is added when the job runs: the names of the run, its deployment, what tells it from another of its name, and the digest."""
    job = Job("fargate", ("load", "--options", "a=${sl_run_id}"), {"SL_ENV": "PROD"}, SPEC)
    end = datetime(2026, 11, 2, tzinfo=timezone.utc)
    run = Run(pipeline, run_id, DataInterval(end, end), instance=instance, deployment=deployment)
    attempt = run.attempt(task, "12")
    bound = job.bind(attempt)
    key = replace(attempt.key, digest=bound.digest)
    sent = run_task_request(bound.spec, bound.arguments, bound.env, key)["overrides"]
    assert deployment in json.dumps(sent)
    assert overrides_size(sent) <= overrides_size(largest_request(job)[0]["overrides"])


@pytest.mark.parametrize("character", ["x", "é", '"', "${sl_run_id}"])
def test_a_long_command_is_refused_however_many_short_ones_were_taken(character: str) -> None:
    """What differs in its arguments alone is not looked at again while there is room for them."""
    options = {
        "aws_cluster_name": "c",
        "aws_task_definition_name": "t",
        "aws_task_definition_container_name": "starlake",
        "aws_task_private_subnets": "subnet-0123abcd",
        "sl_env_var": {"ABOUT": character},
    }
    opened = Orchestration(
        options, orchestrator=RecordingOrchestrator(), environment="fargate", filename="p.py", namespace={}
    )
    pipeline = opened.sl_create_pipeline(name="p")
    taken: list[int] = []

    def draw_longer_ones() -> None:
        for number in range(0, 8000, 400):
            text = character * (number // len(character))
            task = pipeline.sl_job(f"t{number}", ["transform", "--name", f"kpi.t{number}", "--options", f"a={text}"])
            assert task.job is not None
            taken.append(overrides_size(largest_request(task.job)[0]["overrides"]))

    with pytest.raises(OptionsError, match="characters as JSON, and ECS allows 8192"):
        draw_longer_ones()
    assert taken
    assert max(taken) <= 8192


TELL = "import json, os, sys; print(json.dumps([sys.argv[1:], os.environ['ODD']]))"
HOSTILE = [
    "",
    " ",
    "a b",
    "'",
    '"',
    "$HOME",
    "`id`",
    "\\",
    "x\ny",
    "é€😀",
    "--options",
    "a=1,b='x y'",
    "*",
    ";",
    "${x}",
    "%s",
]


def test_hostile_arguments_and_variables_arrive(lab: Lab) -> None:
    odd = "".join(HOSTILE)
    with Ecs((sys.executable, "-c", TELL)) as ecs:
        lab.options.update(ecs.options)
        job = lab.job(env={"ODD": odd})
        service = job.spec["service"]
        runner = FargateRunner(service, AwsClient(service))
        handle = runner.submit(replace(job, arguments=tuple(HOSTILE)), KEY)
        assert settle(runner, handle).succeeded
        (line,) = runner.logs(handle, None)[0]
        assert json.loads(line) == [HOSTILE, odd]
