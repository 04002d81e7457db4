"""The command that deploys pipeline files."""

from __future__ import annotations

from ..dsl.orchestration import overriding
from ..errors import RunError
from ._command import command
from ._deployment import find_and_load, show_moved
from ._findings import find_missing
from ._selection import PipelineFiles, pipeline_files

__all__ = ["deploy"]


@command
@pipeline_files
def deploy(files: PipelineFiles) -> None:
    """Copy pipeline files to where the orchestrator loads them."""
    found, pipelines = find_and_load(files)
    missing = find_missing(pipelines)
    if missing:
        raise RunError("\n".join([*missing, "Nothing was deployed"]))
    plugins = pipelines[0].orchestration.plugins
    with overriding(files.overrides):  # a plugin may load the files again, or keep the request
        show_moved(plugins.deploy(found, pipelines[0].options), plugins, "deploy")
