"""Starlake projects among the folders that a command is about: the installed readers of projects check them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..dsl.orchestration import Overrides
from ..dsl.pipeline_files import LoadedFile, collecting, find_files
from ..errors import NothingFoundError, OptionsError, StarlakeError
from ..model.facts import ProjectCheck
from ..plugins import Plugins, installed

__all__ = [
    "Sources",
    "check_projects",
    "find_sources",
    "has_pipeline_files",
    "load_project",
    "project_readers",
    "select_tables",
    "unread_note",
]


def check_projects(paths: Sequence[Path], strict: bool) -> dict[Path, ProjectCheck | None]:
    """What is wrong with each folder that is a project; None where no reader of projects is installed, or none reads it.

    Args:
        paths: files and folders, as typed.
        strict: make errors of what Starlake forgives.

    Raises:
        PluginError: a reader of projects is installed and cannot be used.
    """
    folders = [path for path in dict.fromkeys(paths) if is_project(path)]
    plugins = project_readers() if folders else Plugins()
    return {folder: plugins.check_project(folder.resolve(), strict) for folder in folders}


def is_project(path: Path) -> bool:
    """Whether a path is the folder of a Starlake project."""
    return (path / "metadata" / "application.sl.yml").is_file()


def project_readers() -> Plugins:
    """Return the installed readers of projects.

    Raises:
        PluginError: one of them cannot be used.
    """
    plugins = Plugins()
    for plugin in installed("project"):
        plugins.add("project", plugin.name)
    return plugins


@dataclass(frozen=True)
class Sources:
    """Where the pipelines of a command come from.

    Attributes:
        files: files, and folders with pipeline files.
        projects: folders of projects whose pipelines are built.
        notes: what to say about the choice.
    """

    files: tuple[Path, ...]
    projects: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


def find_sources(paths: Sequence[Path], source: str | None) -> Sources:
    """Decide for each path whether its pipeline files are loaded, or the pipelines of its project are built.

    The pipeline files of a project are preferred, because somebody wrote them.

    Args:
        paths: files and folders, as typed.
        source: ``project`` or ``files``; by default what is there.

    Raises:
        NothingFoundError: the source is ``project``, and a path does not lead to a project.
    """
    if source == "files":
        return Sources(tuple(paths))
    files: list[Path] = []
    projects: list[Path] = []
    notes: list[str] = []
    for path in dict.fromkeys(paths):
        if not is_project(path):
            if source == "project":
                raise NothingFoundError(
                    f"{path} is not the folder of a Starlake project: there is no metadata/application.sl.yml; leave out --from project"
                )
            files.append(path)
        elif source is None and has_pipeline_files(path):
            notes.append(
                f"{path} has pipeline files, and these are used; --from project uses the pipelines of the project itself"
            )
            files.append(path)
        else:
            projects.append(path)
    return Sources(tuple(files), tuple(projects), tuple(notes))


def load_project(folder: Path, overrides: Overrides, columns: bool = False) -> LoadedFile:
    """Build the pipelines of a project, and collect them and their problems.

    Args:
        folder: the folder of the project.
        overrides: the settings of the command line.
        columns: whether somebody looks at the columns of transforms.

    Raises:
        PluginError: a reader of projects is installed and cannot be used.
    """
    loaded = LoadedFile(folder)
    try:
        with collecting(loaded, overrides) as collected:
            if not project_readers().build_project(folder.resolve(), columns):
                loaded.problems.append(unread_note(folder))
    except OptionsError as error:
        loaded.problems.extend(error.problems)
    except StarlakeError as error:
        loaded.problems.extend(str(error).splitlines())
    loaded.orchestrations = collected
    loaded.pipelines = [pipeline for orchestration in collected for pipeline in orchestration.pipelines]
    return loaded


def select_tables(
    folder: Path, select: Sequence[str], exclude: Sequence[str], state: Path | None
) -> Sequence[str] | None:
    """Return the tables and transforms of a project that words select; None if no reader of projects has words.

    Args:
        folder: the folder of the project.
        select, exclude: the words.
        state: a file that ``graph --format json`` wrote earlier.

    Raises:
        NothingFoundError: a word selects nothing.
    """
    return project_readers().select_tables(folder.resolve(), select, exclude, state)


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
