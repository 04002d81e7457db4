"""Faults of a project that stop commands of a run in every attempt, found before the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from starlake_core_project import Project, ProjectError

from starlake_core import Job, StarlakeError
from starlake_core.contract import parse_arguments

from .context import open_project
from .errors import ProjectFault

__all__ = ["faults_of"]


def faults_of(jobs: Sequence[Job], environment: Callable[[Job], Mapping[str, str]]) -> list[str]:
    """Open the project of each job, once for equal settings, and read the files that the job needs.

    Args:
        jobs: bound jobs.
        environment: returns the environment variables of the process of a job.

    Returns:
        One message for each fault, in the order of the jobs.
    """
    return list(dict.fromkeys(_faults(jobs, environment)))


def _faults(jobs: Sequence[Job], environment: Callable[[Job], Mapping[str, str]]) -> Iterator[str]:
    environs: dict[object, Mapping[str, str]] = {}
    projects: dict[object, Project | None] = {}
    for job in jobs:
        own = tuple(sorted((name, value) for name, value in job.env.items() if not name.startswith("SL_RUN_")))
        try:
            command = parse_arguments(job.arguments)
            if own not in environs:
                # The messages advise what a pipeline can do, as they do in an attempt.
                environs[own] = {**environment(job), "SL_RUN_KEY": "check"}
            values = command.values
            settings = (own, tuple(sorted((values.get("options") or {}).items())), values.get("scheduledDate"))
            if settings not in projects:
                projects[settings] = None
                projects[settings] = open_project(command.name, values, environs[own], warn=False)[0].silently()
            project = projects[settings]
            if project is not None:
                _read(project, command.name, values)
        except (ProjectError, ProjectFault) as error:
            yield str(error)
        except StarlakeError:
            continue  # what is wrong with the command itself, its attempt says


def _read(project: Project, name: str, values: Mapping[str, Any]) -> None:
    """Read the files that a command reads."""
    if name == "transform":
        task = project.task(str(values.get("name", "")))
        if task is not None and task.sql_path is not None:
            project.query(task)
        return
    domains: Sequence[str] = values.get("domains") or project.domain_names()
    tables: Sequence[str] | None = values.get("tables")
    if name == "preload":
        domains = [values.get("domain", "")]
        if values.get("strategy", "").lower() != "imported":
            tables = tables or []  # other checks need the domain alone, or the tables that they name
    for domain in domains:
        project.tables(domain, tables)
