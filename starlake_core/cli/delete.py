"""The command that removes deployed pipeline files."""

from __future__ import annotations

from ..dsl.orchestration import overriding
from ._command import command
from ._deployment import find_and_load, show_moved
from ._selection import PipelineFiles, pipeline_files

__all__ = ["delete"]


@command
@pipeline_files
def delete(files: PipelineFiles) -> None:
    """Remove deployed pipeline files."""
    found, pipelines = find_and_load(files)
    plugins = pipelines[0].orchestration.plugins
    with overriding(files.overrides):
        show_moved(plugins.delete(found, pipelines[0].options), plugins, "delete")
