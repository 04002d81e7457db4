"""What ECS is asked for: the job of a Starlake command, the request that starts a task, and the same as a command line for a person.

Pure functions: the same attempt, the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from starlake_core import (
    Command,
    GeneralOptions,
    Job,
    Options,
    OptionsError,
    RunKey,
    check_limits,
    worst_case,
)
from starlake_core.masking import MASK, mask_arguments, mask_mapping
from starlake_core.runtime import Recent, is_preload
from starlake_core.short_names import short_hash

from .documents import merge_request, read_network, read_run_task, refusals
from .limits import LIMITS, LONGEST_OVERRIDES, Asked, overrides_size
from .options import FargateOptions, problems

__all__ = [
    "client_token",
    "command_line",
    "job_of",
    "largest_request",
    "overrides_of",
    "run_task_request",
    "started_by",
]

_LONGEST_VALUE = 300
"""Characters of the longest value of a placeholder, with a margin."""
_known: Recent[str, int] = Recent(1000)
"""Requests that are within the limits, as the text of all that the limits are about but the arguments, to the characters of their overrides."""

_NO_TAG_CHARACTER = re.compile(r"[^\w +\-=.:/@]")
_LONGEST_TAG = 256


def job_of(command: Command, options: Options) -> Job:
    """The job of a Starlake command.

    Args:
        command: what it does.
        options: of the pipeline and the task.

    Raises:
        OptionsError: an option has a value that ECS does not take, or the command and its variables are too long.
    """
    fargate, general = options[FargateOptions], options[GeneralOptions]
    wrong = problems(fargate)
    own: dict[str, Any] = {
        "subnets": list(fargate.aws_task_private_subnets),
        "securityGroups": list(fargate.aws_task_security_groups),
        "assignPublicIp": fargate.aws_assign_public_ip,
    }
    network = own
    if fargate.aws_network_configuration:
        # What nobody gave is no conflict.
        given = {name: value for name, value in own.items() if value not in ([], "DISABLED")}
        network, found = read_network(fargate.aws_network_configuration, given)
        wrong += found
    spec: dict[str, Any] = {
        "cluster": fargate.aws_cluster_name,
        "task_definition": fargate.aws_task_definition_name,
        "container": fargate.aws_task_definition_container_name,
        "subnets": network["subnets"],
        "security_groups": network["securityGroups"],
        "assign_public_ip": network["assignPublicIp"],
        "cpu": fargate.cpu,
        "memory": fargate.memory,
        "tags": {name: str(value) for name, value in fargate.aws_tags.items()},
        "platform_version": fargate.aws_platform_version or "",
        "capacity_provider": fargate.aws_capacity_provider or "",
        # What the runner is made of; the endpoint names all of it.
        "service": {
            "region": fargate.aws_region,
            "profile": fargate.aws_profile,
            "cluster": fargate.aws_cluster_name,
            "container": fargate.aws_task_definition_container_name,
            "endpoint_url": fargate.aws_endpoint_url or "",
            "async": fargate.fargate_async,
            "interval": fargate.fargate_async_poke_interval,
            "follow_logs": fargate.fargate_follow_logs,
            "missing_grace": fargate.fargate_missing_grace,
        },
    }
    more = {name: value for name, value in network.items() if name not in own}
    if more:
        spec["network"] = more
    if fargate.aws_run_task:
        spec["run_task"], found = read_run_task(fargate.aws_run_task, spec["container"])
        wrong += found
    job = Job("fargate", command.vector, general.sl_env_var, spec, _endpoint(spec["service"]))
    where = f"task '{command.task_id}'"
    if not wrong:
        wrong = _beyond(job, options, bool(fargate.aws_run_task or fargate.aws_network_configuration), where)
    if wrong:
        raise OptionsError([f"{where}: {problem}" for problem in wrong])
    return job


def _beyond(job: Job, options: Options, documents: bool, where: str) -> list[str]:
    """What is wrong with the request of a job; raises for what is beyond the limits of ECS."""
    deployment = options[GeneralOptions].deployment or ""
    about = json.dumps([job.spec, job.env, deployment, is_preload(job.arguments)], sort_keys=True)
    arguments = "".join(job.arguments).count("${") * _LONGEST_VALUE + _size(job.arguments)
    others = _known.get(about)
    # Of the arguments only the size counts: a request with room for them at their longest is like one that was looked at.
    if others is not None and others + arguments <= LONGEST_OVERRIDES:
        return []
    request, wrong = largest_request(job, deployment)
    checked = refusals(request) if documents else []
    if wrong or checked:
        return [*wrong, *(checked or ())]
    # What the SDK has not seen may have other types than the limits expect.
    with contextlib.suppress(*(() if checked is not None else (AttributeError, KeyError, TypeError))):
        check_limits(LIMITS, Asked(job.spec["service"]["region"], request), where)
    _known.put(about, overrides_size(request["overrides"]) - _size(job.arguments))
    return []


def _size(arguments: Sequence[str]) -> int:
    """Characters of arguments in the overrides."""
    return overrides_size({"command": list(arguments)})


def _endpoint(service: Mapping[str, Any]) -> str:
    """One runner for all that is in here."""
    return f"ecs:{service['region']}/{service['cluster']}#{short_hash(json.dumps(service, sort_keys=True))}"


def client_token(key: RunKey) -> str:
    """The token that makes starting an attempt idempotent: 64 characters at most.

    Args:
        key: of the attempt.
    """
    named = [key.task, key.attempt, *filter(None, (key.instance,))]
    digest = hashlib.sha256(json.dumps(named).encode()).hexdigest()
    return f"sl-{digest[:48]}"


def started_by(task: str) -> str:
    """The word by which ECS lists all attempts of a task: 36 characters at most, as old accounts want it.

    Args:
        task: the stable part of the key.
    """
    return f"sl-{RunKey(task, '').task_hash}"


def overrides_of(spec: Mapping[str, Any], arguments: Sequence[str], env: Mapping[str, str]) -> dict[str, Any]:
    """What a task changes of its definition: command, variables and size of the container.

    Args:
        spec: of the job.
        arguments: of the job; one element each, ECS runs them without a shell.
        env: of the container.
    """
    return {
        "containerOverrides": [
            {
                "name": spec["container"],
                "command": list(arguments),
                "environment": [{"name": name, "value": value} for name, value in sorted(env.items())],
                "cpu": spec["cpu"],
                "memory": spec["memory"],
            }
        ]
    }


def largest_request(job: Job, deployment: str = "") -> tuple[dict[str, Any], list[str]]:
    """The request of a job with all that is added when it runs, at the most; see :func:`starlake_core.worst_case`.

    Args:
        job: not bound.
        deployment: the option of that name.

    Returns:
        The request, and a sentence for everything that the option ``aws_run_task`` says in another way than the other options.
    """
    bound, key = worst_case(job, "s3", deployment)
    return _request(bound.spec, bound.arguments, {**bound.env, **key.variables}, key)


def run_task_request(
    spec: Mapping[str, Any], arguments: Sequence[str], env: Mapping[str, str], key: RunKey
) -> dict[str, Any]:
    """The parameters of ``RunTask``.

    Args:
        spec: of the job.
        arguments: of the job.
        env: of the job; the names of the run are added.
        key: of the attempt.
    """
    return _request(spec, arguments, {**env, **key.variables}, key)[0]


def _request(
    spec: Mapping[str, Any], arguments: Sequence[str], variables: Mapping[str, str], key: RunKey
) -> tuple[dict[str, Any], list[str]]:
    """The parameters, and what the option ``aws_run_task`` says in another way than the others."""
    tags = {"starlake:task": _tag(key.task), "starlake:attempt": _tag(key.attempt), **spec["tags"]}
    given = spec.get("run_task", {})
    network = {
        "subnets": list(spec["subnets"]),
        "securityGroups": list(spec["security_groups"]),
        "assignPublicIp": spec["assign_public_ip"],
        **spec.get("network", {}),
    }
    request: dict[str, Any] = {
        "cluster": spec["cluster"],
        "taskDefinition": spec["task_definition"],
        "count": 1,
        "networkConfiguration": {"awsvpcConfiguration": network},
        "overrides": overrides_of(spec, arguments, variables),
        "clientToken": client_token(key),
        "startedBy": started_by(key.task),
        "tags": [{"key": name, "value": value} for name, value in sorted(tags.items())],
    }
    # Of launch type and capacity provider ECS takes one.
    if spec["capacity_provider"]:
        request["capacityProviderStrategy"] = [{"capacityProvider": spec["capacity_provider"], "weight": 1}]
    elif "capacityProviderStrategy" not in given and "launchType" not in given:
        request["launchType"] = "FARGATE"
    if spec["platform_version"]:
        request["platformVersion"] = spec["platform_version"]
    return merge_request(request, given, spec["container"]) if given else (request, [])


def _tag(text: str) -> str:
    return _NO_TAG_CHARACTER.sub("_", text)[:_LONGEST_TAG]


def command_line(job: Job) -> str:
    """The aws command with which a person starts the same, its secrets masked.

    Args:
        job: bound.
    """
    shown = job.masked()
    given = {"run_task": job.spec["run_task"]} if "run_task" in job.spec else {}
    request, _ = _request({**shown.spec, **given}, shown.arguments, shown.env, RunKey("", ""))
    line = ["aws", "ecs", "run-task", "--region", job.spec["service"]["region"]]
    profile = shown.spec["service"]["profile"]
    if profile not in ("default", MASK):
        line += ["--profile", profile]
    if given:
        named = ("clientToken", "startedBy", "tags")
        for override in request["overrides"]["containerOverrides"]:
            _mask(override)
        line += ["--cli-input-json", _json({name: value for name, value in request.items() if name not in named})]
        return shlex.join(line)
    line += ["--cluster", request["cluster"], "--task-definition", request["taskDefinition"]]
    if "launchType" in request:
        line += ["--launch-type", request["launchType"]]
    else:
        line += ["--capacity-provider-strategy", _json(request["capacityProviderStrategy"])]
    line += ["--network-configuration", _json(request["networkConfiguration"])]
    line += ["--overrides", _json(request["overrides"])]
    return shlex.join(line)


def _mask(override: dict[str, Any]) -> None:
    """Hide the secrets of a container."""
    if "command" in override:
        override["command"] = mask_arguments(override["command"])
    for variable in override.get("environment", ()):
        variable["value"] = mask_mapping({variable["name"]: variable["value"]})[variable["name"]]


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
