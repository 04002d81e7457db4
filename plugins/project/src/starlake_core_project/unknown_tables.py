"""Finds the loads of a pipeline that do nothing, because the project has no such domain or table."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from starlake_core import Job, Pipeline, StarlakeError
from starlake_core.contract import parse_arguments
from starlake_core.errors import did_you_mean
from starlake_core.runtime import in_project

from .project import Project

__all__ = ["find_unknown"]

_Env = tuple[tuple[str, str], ...]
_Tables = Mapping[str, frozenset[str]]
"""The tables of each domain."""


def find_unknown(pipelines: Sequence[Pipeline]) -> list[str]:
    """Return a sentence for each load of a domain or table that its project does not have. Starlake ignores such a name
    silently, so the load succeeds.

    Args:
        pipelines: the pipelines. One whose project is not on this machine, or cannot be read, is left out.
    """
    tables = cache(_tables)
    found: dict[str, None] = {}
    for pipeline in pipelines:
        for task in pipeline.tasks():
            if task.job is not None and task.job.arguments[:1] == ("load",):
                job = in_project(task.job, pipeline.source)
                found.update({f"{pipeline.id}: task '{task.path}' {text}": None for text in _unknown(job, tables)})
    return [*found]


def _unknown(job: Job, tables_of: Callable[[str, _Env], _Tables]) -> Iterator[str]:
    environ = {**os.environ, **job.env}
    root = environ.get("SL_ROOT", "").removeprefix("file://")
    if not (Path(root) / (environ.get("SL_METADATA") or "metadata")).is_dir():
        return
    try:
        values = parse_arguments(job.arguments).values
        known = tables_of(root, tuple(sorted(job.env.items())))
    except StarlakeError:  # other commands and checks report it
        return
    domains = _named(values.get("domains"))
    for name in domains:
        if name not in known:
            yield f"loads nothing: the project has no domain '{name}'.{did_you_mean(name, known)}"
    inside = {table for name in domains for table in known.get(name, ())}
    for name in _named(values.get("tables")):
        if inside and name not in inside:
            yield (
                f"loads nothing: the project has no table '{name}' in the domain {', '.join(domains)}."
                f"{did_you_mean(name, inside)}"
            )


def _named(value: object) -> list[str]:
    return [str(name) for name in value] if isinstance(value, Iterable) and not isinstance(value, str) else []


def _tables(root: str, env: _Env) -> _Tables:
    project = Project.load(Path(root), environ={**os.environ, **dict(env)}, strict=False, warn=False)
    domains = {name: project.domain(name) for name in project.domain_names()}
    return {name: frozenset(domain.table_names) for name, domain in domains.items() if domain is not None}
