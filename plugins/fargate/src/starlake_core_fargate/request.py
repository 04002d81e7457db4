"""The request that starts a task, as a pure function: the same attempt, the same bytes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from starlake_core import DataInterval, Job, Run, RunKey, RunnerError
from starlake_core.runtime import remote_marker

__all__ = [
    "LONGEST_OVERRIDES",
    "client_token",
    "largest_overrides",
    "overrides_of",
    "overrides_size",
    "run_task_request",
    "started_by",
]

LONGEST_OVERRIDES = 8192
"""Characters that ECS allows for the overrides, as JSON."""

_LONGEST_NAME = 250
"""Characters of the longest id of a pipeline, a run or a task that an orchestrator allows."""
_LONGEST_ATTEMPT = 64
_LONGEST_MARK = 100
"""Characters of a long name of a host, and of what tells two runs of one id apart."""

_NO_TAG_CHARACTER = re.compile(r"[^\w +\-=.:/@]")
_LONGEST_TAG = 256


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


def overrides_size(overrides: Mapping[str, Any]) -> int:
    """Characters of the overrides, as ECS counts them.

    Args:
        overrides: of a request.
    """
    return len(json.dumps(overrides, separators=(",", ":")))


class _AnyVariable(Mapping[str, str]):
    """The variable store of an orchestrator, which nobody reads before the task runs: its values count for nothing here."""

    def __getitem__(self, name: str) -> str:
        return ""

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __contains__(self, name: object) -> bool:
        return True


def largest_overrides(job: Job, deployment: Callable[[str], str] = str) -> int:
    """Characters of the overrides of a job with all that is added when it runs, at the most: the names of the deployment, the run and the attempt,
    the digest of the work, the values of placeholders (but those of the variable store), and the marker of a check.

    Args:
        job: not bound.
        deployment: its name for the longest name of a host.
    """
    name = "x" * _LONGEST_NAME
    end = datetime(2000, 1, 1, tzinfo=timezone.utc)
    mark = "x" * _LONGEST_MARK
    run = Run(
        name,
        name,
        DataInterval(end, end),
        instance=mark,
        deployment=deployment(mark),
        variables=_AnyVariable(),
    )
    attempt = run.attempt(name, "x" * _LONGEST_ATTEMPT)
    bound = replace(job, check=job.arguments[:1] == ("preload",)).bind(attempt)
    with contextlib.suppress(RunnerError):  # a marker elsewhere is refused when the task runs
        bound = remote_marker(bound, attempt.key, "s3")[1]
    key = replace(attempt.key, digest=bound.digest)
    return overrides_size(run_task_request(bound.spec, bound.arguments, bound.env, key)["overrides"])


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
    named = {**env, **key.variables}
    tags = {"starlake:task": _tag(key.task), "starlake:attempt": _tag(key.attempt), **spec["tags"]}
    network = {
        "subnets": list(spec["subnets"]),
        "securityGroups": list(spec["security_groups"]),
        "assignPublicIp": spec["assign_public_ip"],
    }
    request: dict[str, Any] = {
        "cluster": spec["cluster"],
        "taskDefinition": spec["task_definition"],
        "count": 1,
        "networkConfiguration": {"awsvpcConfiguration": network},
        "overrides": overrides_of(spec, arguments, named),
        "clientToken": client_token(key),
        "startedBy": started_by(key.task),
        "tags": [{"key": name, "value": value} for name, value in sorted(tags.items())],
    }
    # Of launch type and capacity provider ECS takes one.
    if spec["capacity_provider"]:
        request["capacityProviderStrategy"] = [{"capacityProvider": spec["capacity_provider"], "weight": 1}]
    else:
        request["launchType"] = "FARGATE"
    if spec["platform_version"]:
        request["platformVersion"] = spec["platform_version"]
    return request


def _tag(text: str) -> str:
    return _NO_TAG_CHARACTER.sub("_", text)[:_LONGEST_TAG]
