"""Requests to Cloud Run: the job of a Starlake command, the request for an execution, and an equivalent command line."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

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
from starlake_core.masking import mask_arguments, mask_mapping
from starlake_core.runtime import Recent, is_preload

from .limits import LIMITS
from .options import CloudRunOptions
from .overrides import merge_overrides, read_overrides

__all__ = ["RUN_TASK", "command_line", "job_name", "job_of", "largest_request", "run_request"]

RUN_TASK = "SL_RUN_TASK"
"""The variable that marks an execution as ours."""

_known: Recent[str, bool] = Recent(1000)
"""Requests that are known to be within the limits, as the text of everything that the limits check."""


def job_of(command: Command, options: Options) -> Job:
    """The job of a Starlake command. Pure: the same input gives the same bytes.

    Args:
        command: the command.
        options: the options of the pipeline and the task.

    Raises:
        OptionsError: Cloud Run would refuse the resulting request.
    """
    cloud_run, general = options[CloudRunOptions], options[GeneralOptions]
    project, region = cloud_run.cloud_run_project_id, cloud_run.cloud_run_job_region
    # What a runner depends on, in addition to project and region: jobs that agree on it share a runner.
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
    given: dict[str, Any] | None = None
    problems: list[str] = []
    checked = True
    if cloud_run.cloud_run_overrides:
        given, problems, checked = read_overrides(cloud_run.cloud_run_overrides, cloud_run.cloud_run_container)
    spec = {
        "project": project,
        "region": region,
        "job": cloud_run.cloud_run_job_name,
        "container": cloud_run.cloud_run_container,
        "task_count": cloud_run.cloud_run_task_count,
        "timeout": _short(cloud_run.cloud_run_task_timeout),
        **of_runner,
        "overrides": given,
    }
    words = [f"{name}={quote(str(value), safe=':/@')}" for name, value in of_runner.items() if value not in ("", None)]
    job = Job(
        "cloud_run",
        command.vector,
        general.sl_env_var,
        {name: value for name, value in spec.items() if value not in ("", None)},
        f"{project}/{region}?{'&'.join(words)}",
    )
    where = f"task '{command.task_id}'"
    # No limit applies to the arguments, so requests that differ only there are checked once.
    about = json.dumps([job.spec, job.env, general.deployment, is_preload(job.arguments)], sort_keys=True)
    if not problems and about not in _known:
        request, problems = largest_request(job, general.deployment or "")
        # What the SDK has not checked may have other types than the limits expect.
        with contextlib.suppress(*(() if checked else (AttributeError, KeyError, TypeError))):
            check_limits(LIMITS, request, where)
        if not problems:
            _known.put(about, True)
    if problems:
        raise OptionsError([f"{where}: {problem}" for problem in problems])
    return job


def _short(seconds: float | None) -> float | None:
    """Seconds without a needless fraction: 30 instead of 30.0."""
    return seconds if seconds is None or seconds != int(seconds) else int(seconds)


def job_name(spec: Mapping[str, Any]) -> str:
    """The full name of the Cloud Run job.

    Args:
        spec: the spec of a job.
    """
    return f"projects/{spec['project']}/locations/{spec['region']}/jobs/{spec['job']}"


def largest_request(job: Job, deployment: str = "") -> tuple[dict[str, Any], list[str]]:
    """The largest request that a run can make of a job; see :func:`starlake_core.worst_case`.

    Args:
        job: an unbound job.
        deployment: the option ``deployment``.

    Returns:
        The request, and a sentence for each value that the option ``cloud_run_overrides`` sets differently from the other options.
    """
    bound, key = worst_case(job, "gs", deployment)
    overrides, problems = _overrides(bound.spec, bound.arguments, {**bound.env, **key.variables})
    return {"name": job_name(bound.spec), "overrides": overrides}, problems


def run_request(
    spec: Mapping[str, Any], arguments: Sequence[str], env: Mapping[str, str], key: RunKey
) -> dict[str, Any]:
    """The ``RunJobRequest`` of an attempt, as values. Pure: the same input gives the same bytes.

    Args:
        spec: the spec of the job.
        arguments: the arguments of the container.
        env: environment variables of the container, in addition to those of the Cloud Run job.
        key: the key of the attempt.
    """
    overrides, _ = _overrides(spec, arguments, {**env, **key.variables})
    return {"name": job_name(spec), "overrides": overrides}


def _overrides(
    spec: Mapping[str, Any], arguments: Sequence[str], variables: Mapping[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """What an execution overrides, and the conflicts between the option ``cloud_run_overrides`` and the others."""
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
    if not spec.get("overrides"):
        return overrides, []
    return merge_overrides(overrides, spec["overrides"], spec.get("container", ""))


def command_line(job: Job) -> str:
    """The gcloud command that starts the same execution, with secrets masked.

    Args:
        job: a bound job.
    """
    spec = job.spec
    words = ["gcloud", "run", "jobs", "execute", spec["job"], "--project", spec["project"], "--region", spec["region"]]
    overrides, _ = _overrides(spec, job.arguments, job.env)
    if "task_count" in overrides:
        words.append(f"--tasks={overrides['task_count']}")
    if "timeout" in overrides:
        words.append(f"--task-timeout={_short(overrides['timeout']['seconds'] + overrides['timeout']['nanos'] / 1e9)}s")
    if spec.get("service_account"):
        words += ["--impersonate-service-account", spec["service_account"]]
    words.append("--wait")
    for container in overrides["container_overrides"]:
        # Flags after the name of a container apply to it.
        if container.get("name"):
            words += ["--container", container["name"]]
        if "args" in container or container.get("clear_args"):
            words.append(f"--args={_joined(mask_arguments(container.get('args', ())))}")
        shown = {one["name"]: one["value"] for one in container.get("env", ()) if "value" in one}
        if shown:
            pairs = [f"{name}={value}" for name, value in sorted(mask_mapping(shown).items())]
            words.append(f"--update-env-vars={_joined(pairs)}")
    return " ".join(map(shlex.quote, words))


def _joined(items: Sequence[str]) -> str:
    """A list as gcloud reads it: with a separator that none of its items contains, named at the beginning."""
    text = "".join(items)
    separator = next((mark for mark in ",|;:~#" if mark not in text), "")
    while not separator or separator in text:
        separator += "@"
    return separator.join(items) if separator == "," else f"^{separator}^{separator.join(items)}"
