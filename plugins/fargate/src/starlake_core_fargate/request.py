"""Requests to ECS: the job of a Starlake command, the request that starts a task, and an equivalent command line.

All functions are pure: the same attempt gives the same bytes.
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
    "with_labels",
]

_LONGEST_VALUE = 300
"""Characters of the longest value of a placeholder, with a margin."""
_known: Recent[str, int] = Recent(1000)
"""Maps requests within the limits, as the text of everything that is checked except the arguments, to the characters of their overrides."""

_NO_TAG_CHARACTER = re.compile(r"[^\w +\-=.:/@]")
_LONGEST_TAG = 256


def job_of(command: Command, options: Options) -> Job:
    """The job of a Starlake command.

    Args:
        command: the command.
        options: the options of the pipeline and the task.

    Raises:
        OptionsError: ECS does not accept the value of an option, or the command and its variables are too long.
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
        # A default value is not a conflict.
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
        # What the runner depends on; the endpoint names all of it.
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
    """The problems of the request of a job; raises if it exceeds the limits of ECS."""
    deployment = options[GeneralOptions].deployment or ""
    about = json.dumps([job.spec, job.env, deployment, is_preload(job.arguments)], sort_keys=True)
    arguments = "".join(job.arguments).count("${") * _LONGEST_VALUE + _size(job.arguments)
    others = _known.get(about)
    # Only the size of the arguments matters: a request with room for their greatest length is like one that was checked already.
    if others is not None and others + arguments <= LONGEST_OVERRIDES:
        return []
    request, wrong = largest_request(job, deployment)
    checked = refusals(request) if documents else []
    if wrong or checked:
        return [*wrong, *(checked or ())]
    # What the SDK has not checked may have other types than the limits expect.
    with contextlib.suppress(*(() if checked is not None else (AttributeError, KeyError, TypeError))):
        check_limits(LIMITS, Asked(job.spec["service"]["region"], request), where)
    _known.put(about, overrides_size(request["overrides"]) - _size(job.arguments))
    return []


def _size(arguments: Sequence[str]) -> int:
    """The number of characters of arguments in the overrides."""
    return overrides_size({"command": list(arguments)})


def _endpoint(service: Mapping[str, Any]) -> str:
    """The endpoint: jobs that agree on all of it share a runner."""
    return f"ecs:{service['region']}/{service['cluster']}#{short_hash(json.dumps(service, sort_keys=True))}"


def client_token(key: RunKey) -> str:
    """The token that makes starting an attempt idempotent, of at most 64 characters.

    Args:
        key: the key of the attempt.
    """
    named = [key.task, key.attempt, *filter(None, (key.instance,))]
    digest = hashlib.sha256(json.dumps(named).encode()).hexdigest()
    return f"sl-{digest[:48]}"


def started_by(task: str) -> str:
    """The ``startedBy`` that lists all attempts of a task, of at most 36 characters, which is the limit of old accounts.

    Args:
        task: the stable part of the key.
    """
    return f"sl-{RunKey(task, '').task_hash}"


def overrides_of(spec: Mapping[str, Any], arguments: Sequence[str], env: Mapping[str, str]) -> dict[str, Any]:
    """What a task overrides of its definition: command, variables and size of the container.

    Args:
        spec: the spec of the job.
        arguments: the arguments of the job, one element each; ECS runs them without a shell.
        env: environment variables of the container.
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
    """The largest request that a run can make of a job; see :func:`starlake_core.worst_case`.

    Args:
        job: an unbound job.
        deployment: the option ``deployment``.

    Returns:
        The request, and a sentence for each value that the option ``aws_run_task`` sets differently from the other options.
    """
    bound, key = worst_case(job, "s3", deployment)
    return _request(with_labels(bound), bound.arguments, {**bound.env, **key.variables}, key)


def with_labels(job: Job) -> Mapping[str, Any]:
    """The spec of a job, with its labels among the tags.

    Args:
        job: a bound job.
    """
    return {**job.spec, "tags": {**job.spec["tags"], **job.labels}} if job.labels else job.spec


def run_task_request(
    spec: Mapping[str, Any], arguments: Sequence[str], env: Mapping[str, str], key: RunKey
) -> dict[str, Any]:
    """The parameters of ``RunTask``.

    Args:
        spec: the spec of the job.
        arguments: the arguments of the job.
        env: the environment variables of the job; the names of the run are added.
        key: the key of the attempt.
    """
    return _request(spec, arguments, {**env, **key.variables}, key)[0]


def _request(
    spec: Mapping[str, Any], arguments: Sequence[str], variables: Mapping[str, str], key: RunKey
) -> tuple[dict[str, Any], list[str]]:
    """The parameters, and the conflicts between the option ``aws_run_task`` and the others."""
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
    # ECS accepts either a launch type or capacity providers.
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
    """The aws command that starts the same task, with secrets masked.

    Args:
        job: a bound job.
    """
    shown = job.masked()
    given = {"run_task": job.spec["run_task"]} if "run_task" in job.spec else {}
    request, _ = _request({**with_labels(shown), **given}, shown.arguments, shown.env, RunKey("", ""))
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
    """Mask the secrets of a container."""
    if "command" in override:
        override["command"] = mask_arguments(override["command"])
    for variable in override.get("environment", ()):
        variable["value"] = mask_mapping({variable["name"]: variable["value"]})[variable["name"]]


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
