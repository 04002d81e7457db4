"""The hooks of the environment ``cloud_run``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from starlake_core import Command, GeneralOptions, Job, OptionGroup, Options, hookimpl
from starlake_core.runtime import Runner

from .options import CloudRunOptions


@hookimpl
def sl_options() -> Sequence[type[OptionGroup]]:
    return [CloudRunOptions]


@hookimpl
def sl_find_options(given: Mapping[str, Any]) -> Mapping[str, Any]:
    earlier = given.get("retry_delay_in_seconds")
    return {} if earlier is None else {"retry_delay": earlier}


@hookimpl
def sl_create_job(command: Command, options: Options) -> Job:
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


@hookimpl
def sl_create_runner(job: Job) -> Runner:
    from .runner import CloudRunRunner

    return CloudRunRunner(job.spec)
