"""Shared code of the commands that deploy and delete pipeline files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from ..dsl.pipeline import StarlakePipeline
from ..dsl.pipeline_files import find_files, load_file, pipelines_of
from ..errors import RunError
from ..plain_text import plain_line
from ..plugins import Plugins
from ._selection import PipelineFiles

__all__ = ["find_and_load", "show_moved"]


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
