"""The command that deploys pipeline files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..dsl.orchestration import overriding
from ..dsl.pipeline_files import pipelines_of
from ..errors import RunError
from ._command import command
from ._deployment import find_and_load, show_moved
from ._findings import find_missing
from ._projects import has_pipeline_files, is_project, load_project
from ._selection import PipelineFiles, pipeline_files

__all__ = ["deploy"]


@command
@pipeline_files
def deploy(files: PipelineFiles) -> None:
    """Copy pipeline files to where the orchestrator loads them, or let it load a project that has none."""
    projects = [path for path in files.paths if is_project(path) and not has_pipeline_files(path)]
    others = [path for path in files.paths if path not in projects]
    for folder in projects:
        if not _deploy_project(folder, files):
            others.append(folder)  # which says that there is no pipeline file
    if others:
        _deploy_files(replace(files, paths=tuple(others)))


def _deploy_project(folder: Path, files: PipelineFiles) -> bool:
    """Whether the orchestrator loads a project from its files."""
    pipelines = pipelines_of([load_project(folder, files.overrides)])
    plugins = pipelines[0].orchestration.plugins
    if not plugins.implements("sl_deploy_project"):
        return False
    with overriding(files.overrides):
        moved = plugins.deploy_project(folder.resolve(), pipelines)
        if moved is None:
            return False
        show_moved(moved, plugins, "deploy")
        return True


def _deploy_files(files: PipelineFiles) -> None:
    found, pipelines = find_and_load(files)
    missing = find_missing(pipelines)
    if missing:
        raise RunError("\n".join([*missing, "Nothing was deployed"]))
    plugins = pipelines[0].orchestration.plugins
    with overriding(files.overrides):  # a plugin may load the files again, or keep the request
        show_moved(plugins.deploy(found, pipelines[0].options), plugins, "deploy")
