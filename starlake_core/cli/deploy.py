"""The command that deploys pipeline files."""

from __future__ import annotations

from ..dsl.orchestration import overriding
from ..errors import RunError
from ..plugins import Plugins
from ._command import command
from ._deployment import each_project, find_and_load, show_moved
from ._findings import find_missing
from ._selection import PipelineFiles, pipeline_files

__all__ = ["deploy"]


@command
@pipeline_files
def deploy(files: PipelineFiles) -> None:
    """Copy pipeline files to where the orchestrator loads them, or let it load a project that has none."""
    rest = each_project(files, "deploy", Plugins.deploy_project)
    if rest is not None:
        _deploy_files(rest)


def _deploy_files(files: PipelineFiles) -> None:
    found, pipelines = find_and_load(files)
    missing = find_missing(pipelines)
    if missing:
        raise RunError("\n".join([*missing, "Nothing was deployed"]))
    plugins = pipelines[0].orchestration.plugins
    with overriding(files.overrides):  # a plugin may load the files again, or keep the request
        show_moved(plugins.deploy(found, pipelines[0].options), plugins, "deploy")
