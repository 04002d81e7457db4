"""The hooks of the environment ``dataproc``."""

from __future__ import annotations

from collections.abc import Sequence

from starlake_core import Command, Job, Lifecycle, OptionGroup, Options, StarlakePipeline, hookimpl
from starlake_core.runtime import Runner

from .cluster_request import lifecycle_of
from .options import DataprocOptions
from .request import job_of


@hookimpl
def sl_options() -> Sequence[type[OptionGroup]]:
    return [DataprocOptions]


@hookimpl
def sl_create_job(command: Command, options: Options) -> Job:
    return job_of(command, options)


@hookimpl
def sl_create_lifecycle(pipeline: StarlakePipeline, options: Options) -> Lifecycle | None:
    return lifecycle_of(options)


@hookimpl
def sl_create_runner(job: Job) -> Runner:
    from .runner import DataprocRunner

    return DataprocRunner(job.endpoint)
