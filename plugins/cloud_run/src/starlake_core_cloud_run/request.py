"""What Cloud Run is asked for: the request of an execution, and the same as a command for a person."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from starlake_core import Job, RunKey
from starlake_core.masking import mask_arguments, mask_mapping

__all__ = ["RUN_TASK", "gcloud", "job_name", "run_request"]

RUN_TASK = "SL_RUN_TASK"
"""The variable by which an execution is known as one of ours."""


def job_name(spec: Mapping[str, Any]) -> str:
    """The full name of the Cloud Run job.

    Args:
        spec: of a job.
    """
    return f"projects/{spec['project']}/locations/{spec['region']}/jobs/{spec['job']}"


def run_request(
    spec: Mapping[str, Any], arguments: Sequence[str], env: Mapping[str, str], key: RunKey
) -> dict[str, Any]:
    """The ``RunJobRequest`` of an attempt, as values. Pure: the same input gives the same bytes.

    Args:
        spec: of the job.
        arguments: for the container.
        env: for the container; what the Cloud Run job says besides stays.
        key: of the attempt.
    """
    variables = {**env, **key.variables}
    container: dict[str, Any] = {
        "args": list(arguments),
        "env": [{"name": name, "value": value} for name, value in sorted(variables.items())],
    }
    if spec.get("container"):
        container["name"] = spec["container"]
    if not arguments:
        container["clear_args"] = True
    overrides: dict[str, Any] = {"container_overrides": [container]}
    if spec.get("task_count"):
        overrides["task_count"] = spec["task_count"]
    if spec.get("timeout"):
        seconds = spec["timeout"]
        overrides["timeout"] = {"seconds": int(seconds), "nanos": round(seconds % 1 * 1e9)}
    return {"name": job_name(spec), "overrides": overrides}


def gcloud(job: Job) -> str:
    """The command with which a person starts the same, its secrets masked.

    Args:
        job: bound.
    """
    spec = job.spec
    words = ["gcloud", "run", "jobs", "execute", spec["job"], "--project", spec["project"], "--region", spec["region"]]
    if spec.get("task_count"):
        words.append(f"--tasks={spec['task_count']}")
    if spec.get("timeout"):
        words.append(f"--task-timeout={spec['timeout']}s")
    if spec.get("service_account"):
        words += ["--impersonate-service-account", spec["service_account"]]
    words.append("--wait")
    # What follows the name of a container is about it.
    if spec.get("container"):
        words += ["--container", spec["container"]]
    words.append(f"--args={_joined(mask_arguments(job.arguments))}")
    if job.env:
        pairs = [f"{name}={value}" for name, value in sorted(mask_mapping(job.env).items())]
        words.append(f"--update-env-vars={_joined(pairs)}")
    return " ".join(map(shlex.quote, words))


def _joined(items: Sequence[str]) -> str:
    """A list as gcloud reads one: with a separator that is in none of its items, named in front."""
    text = "".join(items)
    separator = next((mark for mark in ",|;:~#" if mark not in text), "")
    while not separator or separator in text:
        separator += "@"
    return separator.join(items) if separator == "," else f"^{separator}^{separator.join(items)}"
