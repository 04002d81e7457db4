"""Asks orchestrators and readers of projects about the pipelines of all files together."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from ..dsl.pipeline import StarlakePipeline
from ..plugins import Plugins
from ..plugins.project_facts import readers
from ..runtime import project_root

__all__ = ["find_conflicts", "find_missing", "find_without_project"]


def find_conflicts(pipelines: Sequence[StarlakePipeline]) -> list[str]:
    """Return surprising interactions between pipelines, one line each.

    Args:
        pipelines: the pipelines, of any orchestrators.
    """
    return [*_ask_orchestrators(pipelines, Plugins.check_pipelines), *readers().check_pipelines(pipelines)]


def find_missing(pipelines: Sequence[StarlakePipeline]) -> list[str]:
    """Return what is missing where the orchestrators run, one line each.

    Args:
        pipelines: the pipelines, of any orchestrators.
    """
    return _ask_orchestrators(pipelines, Plugins.check_site)


def find_without_project(pipelines: Sequence[StarlakePipeline]) -> list[str]:
    """Return which pipelines run commands that do not learn where their Starlake project is, one line each, with what to
    type.

    Jobs with an endpoint are left out, because they run in a service.

    Args:
        pipelines: the pipelines, of any orchestrators.
    """
    return [
        _no_project(pipeline)
        for pipeline in pipelines
        if not os.environ.get("SL_ROOT")
        and not project_root(pipeline.source)
        and any(
            job is not None and job.arguments and not job.endpoint and not job.env.get("SL_ROOT")
            for job in (task.job for task in pipeline.tasks())
        )
    ]


def _no_project(pipeline: StarlakePipeline) -> str:
    place = Path(pipeline.source or ".").resolve()
    near = next((folder for folder in (place, *place.parents) if (folder / "metadata").is_dir()), None)
    lack = (
        f"no folder above {place} has metadata/application.sl.yml"
        if near is None
        else f"{near / 'metadata'} has no application.sl.yml, by which the project is found"
    )
    return (
        f"{pipeline.id}: SL_ROOT is not set, and {lack}. Where neither is, commands fail, because they do not know their project. "
        f"Create that file, or type: export SL_ROOT={'FOLDER' if near is None else shlex.quote(str(near))}"
    )


def _ask_orchestrators(
    pipelines: Sequence[StarlakePipeline], question: Callable[[Plugins, Sequence[StarlakePipeline]], list[str]]
) -> list[str]:
    by_orchestrator: dict[str, list[StarlakePipeline]] = {}
    for pipeline in pipelines:
        by_orchestrator.setdefault(pipeline.orchestration.plugins.orchestrator, []).append(pipeline)
    return [line for same in by_orchestrator.values() for line in question(same[0].orchestration.plugins, same)]
