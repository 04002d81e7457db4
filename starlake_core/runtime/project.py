"""Finds the Starlake project of a pipeline file, for runs on the machine of the file."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from ..model.job import Job

__all__ = ["in_project", "project_root"]

_MARKERS = ("application.sl.yml", "application.yml", "application.sl.yaml")


def project_root(path: str | Path) -> str | None:
    """Return the Starlake project of a file or folder: the nearest folder with ``metadata/application.sl.yml``.

    Args:
        path: the path of the file or folder; if empty, there is no project.
    """
    if not str(path):
        return None
    place = Path(path).resolve()
    for folder in (place, *place.parents):
        if any((folder / "metadata" / marker).is_file() for marker in _MARKERS):
            return str(folder)
    return None


def in_project(job: Job, source: str) -> Job:
    """Return the job with the project of its pipeline file as SL_ROOT, unless something else defines it.

    A job with an endpoint stays as it is, because it runs in a service, where a folder of this machine means nothing.

    Args:
        job: the bound job.
        source: the pipeline file; may be empty.
    """
    if job.endpoint or job.env.get("SL_ROOT") or os.environ.get("SL_ROOT"):
        return job
    root = project_root(source)
    return replace(job, env={**job.env, "SL_ROOT": root}) if root else job
