"""The pipeline files of a command, how they are loaded, and which of their tasks are selected."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from ..dsl.orchestration import Overrides
from ..dsl.pipeline import StarlakePipeline
from ..dsl.pipeline_files import load_files, pipelines_of
from ..errors import NothingFoundError
from ..model.facts import PipelineFault
from ..model.run import RunRequest
from ..orchestrators.requests import matches, request_run
from ..plain_text import plain
from ..plugins import find
from ._command import CommandFunction
from ._console import stderr
from ._feeding import sort_pipelines
from ._parameters import read_pairs, variables_option
from ._projects import find_sources, load_project, select_tables

__all__ = [
    "PipelineFiles",
    "SelectedPipeline",
    "Selection",
    "overrides_options",
    "pipeline_files",
    "selection",
]


@dataclass(frozen=True)
class PipelineFiles:
    """The pipeline files of a command.

    Attributes:
        paths: files and folders, as typed.
        overrides: the plugins and options that override those in the files.
        source: ``project`` or ``files``; by default what is there.
        faults: receives the pipelines that cannot be built, although others can.
    """

    paths: tuple[Path, ...]
    overrides: Overrides
    source: str | None = None
    faults: list[PipelineFault] = field(default_factory=list, compare=False)

    def arguments(self) -> tuple[str, ...]:
        """Return the arguments of a command about the same files."""
        overrides = self.overrides
        return (
            *(("--from", self.source) if self.source else ()),
            *(("--orchestrator", overrides.orchestrator) if overrides.orchestrator else ()),
            *(("--environment", overrides.environment) if overrides.environment else ()),
            *(part for name, value in overrides.options.items() for part in ("--option", f"{name}={value}")),
            "--",
            *map(str, self.paths),
        )

    def load(self, columns: bool = False, chosen: Collection[str] | None = None) -> list[StarlakePipeline]:
        """Load the pipelines, print warnings, and sort the pipelines so that each comes after those that feed it.

        Args:
            columns: whether somebody looks at the columns of transforms; for pipelines of projects.
            chosen: the tables and transforms that the command is about, so that a broken pipeline without any of them only leads to a warning;
                None for all.

        Raises:
            NothingFoundError: a path leads to no pipeline file.
            PluginNotFoundError: the command line names a plugin that does not exist.
            PipelineFileError: a file has problems.
        """
        # An unknown name on the command line is wrong usage, not a problem of a file.
        for role, name in (
            ("orchestrator", self.overrides.orchestrator),
            ("environment", self.overrides.environment),
        ):
            if name:
                find(role, name)
        sources = find_sources(self.paths, self.source)
        for note in sources.notes:
            stderr().print(Text("note: ", style="yellow").append(plain(note)), soft_wrap=True)
        files = load_files(sources.files, self.overrides) if sources.files else []
        files += [load_project(folder, self.overrides, columns) for folder in sources.projects]
        self.faults.clear()
        for file in files:
            for warning in file.warnings:
                stderr().print(Text("warning: ", style="yellow").append(plain(warning)), soft_wrap=True)
            for fault in file.faults:
                what = f"pipeline {fault.pipeline} cannot be built: {fault.message}"
                if chosen is None or not fault.work or not set(fault.work).isdisjoint(chosen):
                    self.faults.append(fault)
                    stderr().print(Text("error: ", style="bold red").append(plain(what)), soft_wrap=True)
                else:
                    stderr().print(Text("warning: ", style="yellow").append(plain(what)), soft_wrap=True)
        return sort_pipelines(pipelines_of(files))

    def projects(self) -> tuple[Path, ...]:
        """Return the folders of projects whose pipelines are built."""
        return find_sources(self.paths, self.source).projects


@dataclass(frozen=True)
class SelectedPipeline:
    """A pipeline, with its part of the selection.

    Attributes:
        pipeline: a pipeline with at least one selected task.
        select, exclude: the patterns that match one of its tasks.
        variables: see :class:`Selection`.
    """

    pipeline: StarlakePipeline
    select: tuple[str, ...]
    exclude: tuple[str, ...]
    variables: Mapping[str, str]

    def request_run(
        self,
        scheduled_date: datetime | None,
        *,
        dry_run: bool = False,
        parallelism: int | None = None,
        group: str = "",
        retry_unsafe: str | None = None,
    ) -> RunRequest:
        """Create the request for a run of the selected tasks.

        Args:
            scheduled_date: the end of the data interval; now by default.
            dry_run, parallelism, group: see :class:`RunRequest`.
            retry_unsafe: see :class:`Run`.
        """
        return request_run(
            self.pipeline,
            scheduled_date,
            dry_run=dry_run,
            variables=self.variables,
            select=self.select,
            exclude=self.exclude,
            parallelism=parallelism,
            group=group,
            retry_unsafe=retry_unsafe or "",
        )


@dataclass(frozen=True)
class Selection:
    """The tasks selected by a command.

    Attributes:
        files: the pipeline files.
        select: patterns of the tasks to run; all tasks if empty.
        exclude: patterns of the tasks to leave out.
        variables: values for ``${var:NAME}``.
        state: a file that ``graph --format json`` wrote earlier, for words that compare with it.
    """

    files: PipelineFiles
    select: tuple[str, ...]
    exclude: tuple[str, ...]
    variables: Mapping[str, str]
    state: Path | None = None

    def load(self, columns: bool = False) -> list[SelectedPipeline]:
        """Load the pipelines, and keep those that have a selected task, in the order of :meth:`PipelineFiles.load`.

        Args:
            columns: see :meth:`PipelineFiles.load`.

        Raises:
            NothingFoundError: a pattern matches no task of any pipeline, or a path leads to no pipeline file.
            PluginNotFoundError: the command line names a plugin that does not exist.
            PipelineFileError: a file has problems.
        """
        chosen = self._of_projects()
        pipelines = self.files.load(columns, chosen)
        if chosen is not None:
            return [
                SelectedPipeline(pipeline, fitting, (), self.variables)
                for pipeline in pipelines
                if (fitting := tuple(name for name in chosen if _fits(name, pipeline)))
            ]
        for pattern in (*self.select, *self.exclude):
            if not any(_fits(pattern, pipeline) for pipeline in pipelines):
                raise NothingFoundError(
                    f"pattern '{pattern}' matches no task of {', '.join(p.id for p in pipelines)}; use the id or path of a task, a transform, a "
                    "domain or domain.table, with * and ? as wildcards. See the tasks with: starlake-orchestrate graph"
                )
        selected = []
        for pipeline in pipelines:
            select = tuple(pattern for pattern in self.select if _fits(pattern, pipeline))
            exclude = tuple(pattern for pattern in self.exclude if _fits(pattern, pipeline))
            if select or not self.select:
                selected.append(SelectedPipeline(pipeline, select, exclude, self.variables))
        return selected

    def _of_projects(self) -> list[str] | None:
        """Return the tables and transforms that the words select in projects; None if no project is involved, or nothing is selected."""
        projects = self.files.projects()
        if not (self.select or self.exclude) or not projects or len(projects) != len(set(self.files.paths)):
            return None
        found = [select_tables(folder, self.select, self.exclude, self.state) for folder in projects]
        return None if any(names is None for names in found) else [name for names in found for name in names or ()]


def _fits(pattern: str, pipeline: StarlakePipeline) -> bool:
    return any(matches(task, pattern) for task in pipeline.tasks())


def overrides_options(callback: CommandFunction) -> CommandFunction:
    """Add the options that override those in pipeline files to a command, as one argument ``overrides``.

    Args:
        callback: a function with the argument ``overrides``, an :class:`Overrides`.
    """

    @click.option("--orchestrator", metavar="NAME", help="Orchestrator to use; overrides the file.")
    @click.option("--environment", metavar="NAME", help="Environment to use; overrides the file.")
    @click.option(
        "--option",
        "-o",
        "options",
        multiple=True,
        callback=read_pairs,
        metavar="NAME=VALUE",
        help="Value of an option; overrides the file.",
    )
    @wraps(callback)
    def packed(*, orchestrator: str | None, environment: str | None, options: dict[str, str], **others: Any) -> None:
        callback(overrides=Overrides(orchestrator, environment, options), **others)

    return packed


def pipeline_files(callback: CommandFunction) -> CommandFunction:
    """Add the argument PATHS and the options of :func:`overrides_options` to a command, as one argument ``files``.

    Args:
        callback: a function with the argument ``files``, a :class:`PipelineFiles`.
    """

    @click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
    @click.option(
        "--from",
        "source",
        type=click.Choice(["project", "files"]),
        help="What to take from the folder of a Starlake project: its own pipelines, or the pipeline files in it.",
    )
    @overrides_options
    @wraps(callback)
    def packed(*, paths: tuple[Path, ...], source: str | None, overrides: Overrides, **others: Any) -> None:
        callback(files=PipelineFiles(paths, overrides, source), **others)

    return packed


def selection(callback: CommandFunction) -> CommandFunction:
    """Add the parameters of :func:`pipeline_files` and those that select tasks to a command, as one argument
    ``selection``.

    Args:
        callback: takes a :class:`Selection`.
    """

    @pipeline_files
    @click.option(
        "--select",
        multiple=True,
        metavar="PATTERN",
        help="Run only these tasks: id, path, transform, domain or domain.table; * and ?.",
    )
    @click.option("--exclude", multiple=True, metavar="PATTERN", help="Leave out these tasks.")
    @click.option(
        "--state",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help='What "graph --format json" wrote for a project, for the word state:modified.',
    )
    @variables_option("A value for ${var:NAME}.")
    @wraps(callback)
    def packed(
        *,
        files: PipelineFiles,
        select: tuple[str, ...],
        exclude: tuple[str, ...],
        variables: dict[str, str],
        state: Path | None,
        **others: Any,
    ) -> None:
        callback(selection=Selection(files, select, exclude, variables, state), **others)

    return packed
