"""Starlake projects among the folders that a command is about: the installed readers of projects check them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..dsl.pipeline_files import find_files
from ..errors import NothingFoundError
from ..model.facts import ProjectCheck
from ..plugins import Plugins, installed

__all__ = ["check_projects", "has_pipeline_files", "unread_note"]


def check_projects(paths: Sequence[Path], strict: bool) -> dict[Path, ProjectCheck | None]:
    """What is wrong with each folder that is a project; None where no reader of projects is installed, or none reads it.

    Args:
        paths: files and folders, as typed.
        strict: make errors of what Starlake forgives.

    Raises:
        PluginError: a reader of projects is installed and cannot be used.
    """
    folders = [path for path in dict.fromkeys(paths) if (path / "metadata" / "application.sl.yml").is_file()]
    plugins = Plugins()
    for plugin in installed("project") if folders else ():
        plugins.add("project", plugin.name)
    return {folder: plugins.check_project(folder.resolve(), strict) for folder in folders}


def has_pipeline_files(folder: Path) -> bool:
    """Whether there is a pipeline file below a folder."""
    try:
        return bool(find_files([folder]))
    except NothingFoundError:
        return False


def unread_note(folder: Path) -> str:
    """What to say about a project that was not checked."""
    return (
        f"{folder} is a Starlake project, and nothing here reads one: its files below metadata are not checked. "
        "Install a reader with: pip install starlake-core-project"
    )
