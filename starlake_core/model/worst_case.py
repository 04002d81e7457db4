"""The longest possible version of a job, to compare it with the limits of a service."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone

from ..errors import RunnerError
from .exit_codes import is_preload, remote_marker
from .identity import deployment_name
from .job import Job
from .run import DataInterval, Run, RunKey

__all__ = ["worst_case"]

_LONGEST_NAME = 250
"""The number of characters in the longest pipeline, run or task id that an orchestrator allows."""
_LONGEST_ATTEMPT = 64
_LONGEST_MARK = 100
"""The number of characters in a long host name, and in the instance of a run."""
_DATE = datetime(2000, 1, 1, tzinfo=timezone.utc)


class _AnyVariable(Mapping[str, str]):
    """Stands in for the variable store of an orchestrator. It is read only when the task runs, so its values are left
    out."""

    def __getitem__(self, name: str) -> str:
        return ""

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __contains__(self, name: object) -> bool:
        return True


def worst_case(job: Job, scheme: str, deployment: str = "") -> tuple[Job, RunKey]:
    """Bind a job to an attempt with the longest values that a run can add.

    These are the names of the deployment, the run and the attempt, the digest of the work, the values of placeholders
    (except those of the variable store), and the marker of a check.

    Args:
        job: the unbound job.
        scheme: the URI scheme of the storage for markers: ``gs`` or ``s3``.
        deployment: the option ``deployment``.
    """
    name, mark = "x" * _LONGEST_NAME, "x" * _LONGEST_MARK
    run = Run(
        name,
        name,
        DataInterval(_DATE, _DATE),
        instance=mark,
        deployment=deployment_name(deployment, job.env.get("SL_ENV", ""), mark),
        variables=_AnyVariable(),
    )
    attempt = run.attempt(name, "x" * _LONGEST_ATTEMPT)
    bound = replace(job, check=is_preload(job.arguments)).bind(attempt)
    with contextlib.suppress(RunnerError):  # a marker elsewhere is refused when the task runs
        bound = remote_marker(bound, attempt.key, scheme)[1]
    return bound, replace(attempt.key, digest=bound.digest)
