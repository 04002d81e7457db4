"""The command that removes deployed pipeline files and projects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..dsl.orchestration import overriding
from ..dsl.pipeline import StarlakePipeline
from ..plugins import Plugins
from ._command import command
from ._deployment import each_project, find_and_load, show_moved
from ._selection import PipelineFiles, pipeline_files

__all__ = ["delete"]


@command
@pipeline_files
def delete(files: PipelineFiles) -> None:
    """Remove deployed pipeline files, or a project that was deployed without any."""
    rest = each_project(files, "delete", _delete_project)
    if rest is None:
        return
    found, pipelines = find_and_load(rest)
    plugins = pipelines[0].orchestration.plugins
    with overriding(rest.overrides):
        show_moved(plugins.delete(found, pipelines[0].options), plugins, "delete")


def _delete_project(plugins: Plugins, folder: Path, pipelines: Sequence[StarlakePipeline]) -> Sequence[Path] | None:
    return plugins.delete_project(folder, pipelines[0].options)
