"""The hooks of the add-on ``labels``."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

from starlake_core import TEXT_MAP, Job, Lifecycle, OptionGroup, Options, hookimpl, option

needs_hooks = "1.0"


class LabelsOptions(OptionGroup):
    """What every job is labelled with."""

    labels: dict[str, str] = option(
        TEXT_MAP,
        required=True,
        doc="Labels of every job in its service, by name. A value may contain placeholders such as ${sl_ds}.",
    )


@hookimpl
def sl_options() -> Sequence[type[OptionGroup]]:
    return [LabelsOptions]


@hookimpl(wrapper=True)
def sl_create_job(options: Options) -> Generator[None, Job, Job]:
    job = yield
    return _labelled(job, options)


@hookimpl(wrapper=True)
def sl_create_preload(options: Options) -> Generator[None, Job | None, Job | None]:
    # A check that runs in the worker costs nothing and cannot be labelled; one in a service is a job like any other.
    job = yield
    return _labelled(job, options) if job is not None and job.endpoint else job


@hookimpl(wrapper=True)
def sl_create_lifecycle(options: Options) -> Generator[None, Lifecycle | None, Lifecycle | None]:
    # The jobs around a pipeline do not pass through sl_create_job, and a cluster costs most.
    made = yield
    return None if made is None else made.map_jobs(lambda job: _labelled(job, options))


def _labelled(job: Job, options: Options) -> Job:
    return replace(job, labels={**job.labels, **options[LabelsOptions].labels})
