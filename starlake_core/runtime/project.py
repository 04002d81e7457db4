"""The Starlake project that a pipeline file is in, for runs on the machine where the file is."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from ..model.job import Job

__all__ = ["in_project", "project_root"]

_MARKERS = ("application.sl.yml", "application.yml", "application.sl.yaml")


def project_root(path: str | Path) -> str | None:
    """The Starlake project that a file or folder is in: the nearest folder with ``metadata/application.sl.yml``.

    Args:
        path: of the file or folder; an empty one is in no project.
    """
    if not str(path):
        return None
    place = Path(path).resolve()
    for folder in (place, *place.parents):
        if any((folder / "metadata" / marker).is_file() for marker in _MARKERS):
            return str(folder)
    return None


def in_project(job: Job, source: str) -> Job:
    """The job with the project of its pipeline file as SL_ROOT, where nothing else says what it is.

    A job with an endpoint runs in a service, to which a folder of this machine means nothing: it stays as it is.

    Args:
        job: bound.
        source: the pipeline file; may be empty.
    """
    if job.endpoint or job.env.get("SL_ROOT") or os.environ.get("SL_ROOT"):
        return job
    root = project_root(source)
    return replace(job, env={**job.env, "SL_ROOT": root}) if root else job
