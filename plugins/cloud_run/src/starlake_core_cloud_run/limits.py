"""What Cloud Run would refuse, reported when a pipeline is built.

Each limit applies to the values of a ``RunJobRequest``, with everything that a run can add to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from starlake_core import Limit

__all__ = ["LIMITS"]

Request = Mapping[str, Any]

_REFERENCE = "https://cloud.google.com/run/docs/reference/rest/v2"
_VARIABLES = "https://cloud.google.com/run/docs/configuring/jobs/environment-variables"
_QUOTAS = "https://cloud.google.com/run/quotas"

_MOST_VARIABLES, _LONGEST_VALUE, _LONGEST_NAME, _MOST_TASKS = 1000, 32_768, 49, 10_000
_LONGEST_SECONDS = 7 * 24 * 3600
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_JOB = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_REGION = re.compile(r"[a-z]+(-[a-z]+)+[0-9]+")
_OF_CONTRACT = frozenset(
    {
        "CLOUD_RUN_EXECUTION",
        "CLOUD_RUN_JOB",
        "CLOUD_RUN_TASK_ATTEMPT",
        "CLOUD_RUN_TASK_COUNT",
        "CLOUD_RUN_TASK_INDEX",
        "K_CONFIGURATION",
        "K_REVISION",
        "K_SERVICE",
        "PORT",
    }
)


def _containers(request: Request) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = request["overrides"]["container_overrides"]
    return found


def _names(request: Request) -> Iterator[str]:
    for container in _containers(request):
        for variable in container.get("env", ()):
            yield variable["name"]


def _variables(request: Request) -> Iterator[Mapping[str, object]]:
    for container in _containers(request):
        count = len(container.get("env", ()))
        if count > _MOST_VARIABLES:
            yield {"count": count}


def _long_values(request: Request) -> Iterator[Mapping[str, object]]:
    for container in _containers(request):
        for variable in container.get("env", ()):
            size = len(str(variable.get("value", "")).encode(errors="surrogatepass"))
            if size > _LONGEST_VALUE:
                yield {"name": variable["name"], "size": size}


def _no_names(request: Request) -> Iterator[Mapping[str, object]]:
    yield from ({"name": name} for name in _names(request) if not _NAME.fullmatch(name) or len(name) > _LONGEST_VALUE)


def _no_identifiers(request: Request) -> Iterator[Mapping[str, object]]:
    for name in _names(request):
        if _NAME.fullmatch(name) and not _IDENTIFIER.fullmatch(name):
            yield {"name": name}


def _reserved(request: Request) -> Iterator[Mapping[str, object]]:
    yield from ({"name": name} for name in _names(request) if name in _OF_CONTRACT)


def _maybe_reserved(request: Request) -> Iterator[Mapping[str, object]]:
    for name in _names(request):
        if name not in _OF_CONTRACT and name.startswith(("CLOUD_RUN_", "X_GOOGLE_")):
            yield {"name": name}


def _place(request: Request) -> tuple[str, str]:
    """The region and the job."""
    _, _, _, region, _, job = request["name"].split("/")
    return region, job


def _long_job(request: Request) -> Iterator[Mapping[str, object]]:
    _, job = _place(request)
    if len(job) > _LONGEST_NAME:
        yield {"name": job, "length": len(job)}


def _odd_job(request: Request) -> Iterator[Mapping[str, object]]:
    _, job = _place(request)
    if not _JOB.fullmatch(job):
        yield {"name": job}


def _odd_region(request: Request) -> Iterator[Mapping[str, object]]:
    region, _ = _place(request)
    if not _REGION.fullmatch(region):
        yield {"region": region}


def _long_timeout(request: Request) -> Iterator[Mapping[str, object]]:
    timeout = request["overrides"].get("timeout", {})
    seconds = timeout.get("seconds", 0) + timeout.get("nanos", 0) / 1e9
    if seconds > _LONGEST_SECONDS:
        yield {"seconds": f"{seconds:.9g}"}


def _many_tasks(request: Request) -> Iterator[Mapping[str, object]]:
    count = request["overrides"].get("task_count", 1)
    if not 1 <= count <= _MOST_TASKS:
        yield {"count": count}


def _odd_containers(request: Request) -> Iterator[Mapping[str, object]]:
    for container in _containers(request):
        name = container.get("name", "")
        if name and not _LABEL.fullmatch(name):
            yield {"name": name}


def _nameless(request: Request) -> Iterator[Mapping[str, object]]:
    containers = _containers(request)
    if len(containers) > 1 and not all(container.get("name") for container in containers):
        yield {}


LIMITS: tuple[Limit[Request], ...] = (
    Limit(
        "environment variables of a container",
        f"at most {_MOST_VARIABLES}",
        "{count} variables, with those that a run adds; set those that never change on the job, and not in sl_env_var: "
        "gcloud run jobs update JOB --update-env-vars=NAME=VALUE",
        _VARIABLES,
        _variables,
    ),
    Limit(
        "value of a variable",
        f"at most {_LONGEST_VALUE} bytes",
        "variable {name!r} has {size} bytes, with the longest names that a run can add to it; put the value into a file in Cloud Storage, and "
        "the address of the file into sl_env_var",
        f"{_REFERENCE}/Container#EnvVar",
        _long_values,
    ),
    Limit(
        "name of a variable",
        "letters without accents, digits and _, not starting with a digit",
        "{name!r} is not a valid name for a variable; correct it in sl_env_var or cloud_run_overrides",
        "https://cloud.google.com/dotnet/docs/reference/Google.Cloud.Run.V2/2.0.0/Google.Cloud.Run.V2.EnvVar",
        _no_names,
    ),
    Limit(
        "name of a variable that starts with a digit, or contains . or -",
        "allowed only by newer references of Cloud Run",
        "variable {name!r} may be refused; a name such as MY_VARIABLE in sl_env_var is safe",
        "",
        _no_identifiers,
    ),
    Limit(
        "reserved variable names",
        f"none of {', '.join(sorted(_OF_CONTRACT))}",
        "variable {name!r} is set by Cloud Run itself; remove it from sl_env_var, or rename it",
        "https://cloud.google.com/run/docs/container-contract",
        _reserved,
    ),
    Limit(
        "variable names that start with CLOUD_RUN_ or X_GOOGLE_",
        "only those of Cloud Run",
        "variable {name!r} looks like one of Cloud Run's own and may be refused; rename it in sl_env_var",
        "",
        _maybe_reserved,
    ),
    Limit(
        "length of a job name",
        f"at most {_LONGEST_NAME} characters",
        "the job name {name!r} has {length} characters; set cloud_run_job_name to one that gcloud run jobs list shows",
        "https://cloud.google.com/run/docs/create-jobs",
        _long_job,
    ),
    Limit(
        "job name",
        "lower-case letters, digits and -, starting with a letter and not ending with -",
        "{name!r} is not a valid job name; set cloud_run_job_name to one that gcloud run jobs list shows",
        "https://github.com/terraform-google-modules/terraform-docs-samples/pull/171",
        _odd_job,
    ),
    Limit(
        "region",
        "such as europe-west1, in lower case",
        "{region!r} is not a region; set cloud_run_job_region to one that gcloud run regions list shows",
        "https://cloud.google.com/run/docs/locations",
        _odd_region,
    ),
    Limit(
        "time-out of a task",
        "at most 7 days (604800 s)",
        "the time-out is {seconds} s; set cloud_run_task_timeout (or the time-out in cloud_run_overrides) to at most 7d",
        "https://cloud.google.com/run/docs/configuring/task-timeout",
        _long_timeout,
    ),
    Limit(
        "tasks of an execution",
        f"1 to {_MOST_TASKS}",
        "{count} tasks; set cloud_run_task_count (or taskCount in cloud_run_overrides) to a number in this range",
        _QUOTAS,
        _many_tasks,
    ),
    Limit(
        "name of a container",
        "a DNS label: up to 63 lower-case letters, digits and -, not starting or ending with -",
        "{name!r} is not a valid container name; set cloud_run_container (or name in cloud_run_overrides) to one that "
        "gcloud run jobs describe JOB shows",
        f"{_REFERENCE}/projects.locations.jobs/run",
        _odd_containers,
    ),
    Limit(
        "overrides of several containers",
        "each needs a name",
        "cloud_run_overrides names a container, and the one that runs Starlake has no name; set cloud_run_container to its name",
        "",
        _nameless,
    ),
)
"""In the order in which they are reported."""
