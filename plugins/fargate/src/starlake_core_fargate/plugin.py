"""The hooks of the environment ``fargate``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlake_core import Command, Job, OptionGroup, Options, hookimpl
from starlake_core.runtime import Runner

from .options import FargateOptions
from .request import job_of


@hookimpl
def sl_options() -> Sequence[type[OptionGroup]]:
    return [FargateOptions]


@hookimpl
def sl_find_options(given: Mapping[str, Any]) -> Mapping[str, Any]:
    earlier = given.get("retry_delay_in_seconds")
    return {} if earlier is None else {"retry_delay": earlier}


@hookimpl
def sl_create_job(command: Command, options: Options) -> Job:
    return job_of(command, options)


@hookimpl
def sl_create_runner(job: Job) -> Runner:
    from .client import AwsClient
    from .runner import FargateRunner

    service = job.spec["service"]
    return FargateRunner(service, AwsClient(service))
