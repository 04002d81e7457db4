"""The longest that is ever sent for a job: what has to be within the limits of a service."""

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
"""Characters of the longest id of a pipeline, a run or a task that an orchestrator allows."""
_LONGEST_ATTEMPT = 64
_LONGEST_MARK = 100
"""Characters of a long name of a host, and of what tells two runs of one id apart."""
_DATE = datetime(2000, 1, 1, tzinfo=timezone.utc)


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


def worst_case(job: Job, scheme: str, deployment: str = "") -> tuple[Job, RunKey]:
    """A job bound to an attempt with all that is added when it runs, at the most.

    That is the names of the deployment, the run and the attempt, the digest of the work, the values of placeholders (but those of the
    variable store), and the marker of a check.

    Args:
        job: not bound.
        scheme: of the storage for markers: ``gs``, ``s3``.
        deployment: the option of that name.
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
