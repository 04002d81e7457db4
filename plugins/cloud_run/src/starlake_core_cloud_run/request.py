"""What Cloud Run is asked for: the job of a Starlake command, the request of an execution, and the same as a command line for a person."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from starlake_core import Command, GeneralOptions, Job, Options, RunKey
from starlake_core.masking import mask_arguments, mask_mapping

from .options import CloudRunOptions

__all__ = ["RUN_TASK", "command_line", "job_name", "job_of", "run_request"]

RUN_TASK = "SL_RUN_TASK"
"""The variable by which an execution is known as one of ours."""


def job_of(command: Command, options: Options) -> Job:
    """The job of a Starlake command. Pure: the same input gives the same bytes.

    Args:
        command: what it does.
        options: of the pipeline and the task.
    """
    cloud_run = options[CloudRunOptions]
    project, region = cloud_run.cloud_run_project_id, cloud_run.cloud_run_job_region
    # What a runner depends on besides project and region: jobs that agree on it share a runner.
    of_runner = {
        "service_account": cloud_run.cloud_run_service_account,
        "endpoint": cloud_run.cloud_run_endpoint,
        "storage_endpoint": cloud_run.cloud_run_storage_endpoint,
        "logging_endpoint": cloud_run.cloud_run_logging_endpoint,
        "detached": cloud_run.cloud_run_async,
        "interval": _short(cloud_run.cloud_run_async_poke_interval),
        "follow_logs": cloud_run.cloud_run_follow_logs,
        "list_lag": _short(cloud_run.cloud_run_list_lag),
        "missing_grace": _short(cloud_run.cloud_run_missing_grace),
        "history": cloud_run.cloud_run_history,
    }
    spec = {
        "project": project,
        "region": region,
        "job": cloud_run.cloud_run_job_name,
        "container": cloud_run.cloud_run_container,
        "task_count": cloud_run.cloud_run_task_count,
        "timeout": _short(cloud_run.cloud_run_task_timeout),
        **of_runner,
    }
    words = [f"{name}={quote(str(value), safe=':/@')}" for name, value in of_runner.items() if value not in ("", None)]
    return Job(
        "cloud_run",
        command.vector,
        options[GeneralOptions].sl_env_var,
        {name: value for name, value in spec.items() if value not in ("", None)},
        f"{project}/{region}?{'&'.join(words)}",
    )


def _short(seconds: float | None) -> float | None:
    """Seconds without a fraction where they have none: 30, and not 30.0."""
    return seconds if seconds is None or seconds != int(seconds) else int(seconds)


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


def command_line(job: Job) -> str:
    """The gcloud command with which a person starts the same, its secrets masked.

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
