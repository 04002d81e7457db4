"""Asks orchestrators and readers of projects about the pipelines of all files together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..dsl.pipeline import StarlakePipeline
from ..plugins import Plugins
from ..plugins.project_facts import readers

__all__ = ["find_conflicts", "find_missing"]


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


def _ask_orchestrators(
    pipelines: Sequence[StarlakePipeline], question: Callable[[Plugins, Sequence[StarlakePipeline]], list[str]]
) -> list[str]:
    by_orchestrator: dict[str, list[StarlakePipeline]] = {}
    for pipeline in pipelines:
        by_orchestrator.setdefault(pipeline.orchestration.plugins.orchestrator, []).append(pipeline)
    return [line for same in by_orchestrator.values() for line in question(same[0].orchestration.plugins, same)]
