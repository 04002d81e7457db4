"""Shared code of the commands that deploy and delete pipeline files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import click

from ..dsl.orchestration import overriding
from ..dsl.pipeline import StarlakePipeline
from ..dsl.pipeline_files import find_files, load_file, pipelines_of
from ..errors import RunError
from ..plain_text import plain_line
from ..plugins import Plugins
from ._projects import has_pipeline_files, is_project, load_project
from ._selection import PipelineFiles

__all__ = ["each_project", "find_and_load", "show_moved"]


def find_and_load(files: PipelineFiles) -> tuple[list[Path], list[StarlakePipeline]]:
    """Return the pipeline files and their pipelines.

    Args:
        files: the files to find and load.

    Raises:
        NothingFoundError: a path leads to no pipeline file.
        PipelineFileError: a file has problems.
    """
    found = find_files(files.paths)
    return found, pipelines_of([load_file(path, files.overrides) for path in found])


def each_project(
    files: PipelineFiles,
    verb: str,
    move: Callable[[Plugins, Path, Sequence[StarlakePipeline]], Sequence[Path] | None],
) -> PipelineFiles | None:
    """Let the orchestrator deploy or delete the projects without pipeline files.

    Args:
        files: the files and projects that the user named.
        verb: ``deploy`` or ``delete``.
        move: asks the orchestrator; None if it knows pipeline files only.

    Returns:
        What is left for the orchestrator as pipeline files, which says of a project that there are none; None if nothing is.
    """
    projects = [path for path in files.paths if is_project(path) and not has_pipeline_files(path)]
    others = [path for path in files.paths if path not in projects]
    for folder in projects:
        pipelines = pipelines_of([load_project(folder, files.overrides)])
        plugins = pipelines[0].orchestration.plugins
        moved = None
        if plugins.implements(f"sl_{verb}_project"):
            with overriding(files.overrides):
                moved = move(plugins, folder.resolve(), pipelines)
        if moved is None:
            others.append(folder)
        else:
            show_moved(moved, plugins, verb)
    return replace(files, paths=tuple(others)) if others else None


def show_moved(moved: Sequence[Path] | None, plugins: Plugins, verb: str) -> None:
    """Print which files were written or removed.

    Args:
        moved: these files; None if the orchestrator does not deploy files.
        plugins: the plugins with the orchestrator.
        verb: the verb for the message.

    Raises:
        RunError: the orchestrator does not deploy files.
    """
    if moved is None:
        raise RunError(f"{plugins.label('orchestrator')} has nothing to {verb}: it does not implement sl_{verb}")
    for path in moved:
        click.echo(plain_line(str(path)))
