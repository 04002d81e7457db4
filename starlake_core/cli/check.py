"""The command that reports all problems of pipeline files and projects."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from ..dsl.orchestration import Overrides
from ..dsl.pipeline_files import LoadedFile, load_files
from ..model.facts import ProjectCheck
from ..plain_text import plain, plain_line
from ._command import command
from ._console import stdout
from ._findings import find_conflicts, find_missing, find_without_project
from ._json import emit, masked
from ._output import output_lost
from ._parameters import json_format
from ._projects import check_projects, find_sources, load_project, unread_note
from ._selection import PipelineFiles, pipeline_files

__all__ = ["check"]


@command
@pipeline_files
@click.option(
    "--strict",
    is_flag=True,
    help="Treat options that no selected plugin has, and undefined variables of a project, as errors.",
)
@json_format
def check(files: PipelineFiles, strict: bool, output_format: str) -> None:
    """Build all pipelines, and report the problems of all files.

    A folder with metadata/application.sl.yml is a Starlake project: its YAML files are checked too.
    """
    projects = check_projects(files.paths, strict)
    sources = find_sources(files.paths, files.source)
    overrides = replace(files.overrides, strict=strict)
    loaded = load_files(sources.files, overrides) if sources.files else []
    loaded += [_built(path, files.overrides, projects) for path in sources.projects]
    for file in loaded:
        if file.path not in sources.projects:
            file.problems += [f"{fault.pipeline} cannot be built: {fault.message}" for fault in file.faults]
    named = {path.resolve() for path in files.paths}
    for file in loaded:
        if file.path in named and not (file.pipelines or file.problems):
            file.problems.append(
                f"{file.path.name}: no pipeline: no 'with orchestration.sl_create_pipeline(...)' block ended there"
            )
    pipelines = [pipeline for file in loaded for pipeline in file.pipelines]
    notes, missing = find_conflicts(pipelines), find_missing(pipelines)
    notes = [
        *notes,
        *find_without_project(pipelines),
        *sources.notes,
        *(unread_note(path) for path, check in projects.items() if check is None),
    ]
    checked = {path: check for path, check in projects.items() if check is not None}
    if output_format == "json":
        ok = not missing and not any(file.problems for file in loaded) and not any(c.errors for c in checked.values())
        found = [_project_data(path, check) for path, check in checked.items()]
        emit(
            "check",
            {"ok": ok, "files": list(map(_file_data, loaded)), "projects": found, "notes": notes, "missing": missing},
        )
        sys.exit(0 if ok and not output_lost() else 1)
    _show_projects(checked)
    _show(loaded, notes, missing)
    problems = sum(len(file.problems) for file in loaded) + len(missing) + sum(len(c.errors) for c in checked.values())
    if problems:
        count = len(loaded) + sum(check.files for check in checked.values())
        stdout().print(f"{problems} problem{'s' if problems > 1 else ''} in {count} file{'s' if count > 1 else ''}")
        sys.exit(1)


def _built(folder: Path, overrides: Overrides, projects: Mapping[Path, ProjectCheck | None]) -> LoadedFile:
    """Build the pipelines of a project. What the check of its files already says is not repeated."""
    if projects.get(folder) is None:
        return LoadedFile(folder)
    loaded = load_project(folder, overrides)
    check = projects[folder]
    said = {line for text in check.errors for line in text.splitlines()} if check is not None else set()
    loaded.problems = [problem for problem in loaded.problems if problem not in said]
    for fault in loaded.faults:
        rest = [line for line in fault.message.splitlines() if line not in said]
        loaded.problems.append(f"{fault.pipeline} cannot be built" + (f": {' '.join(rest)}" if rest else ""))
    loaded.warnings = [warning for warning in loaded.warnings if check is None or warning not in check.warnings]
    return loaded


def _show_projects(projects: Mapping[Path, ProjectCheck]) -> None:
    for path, check in projects.items():
        mark = Text("failed", style="bold red") if check.errors else Text("ok", style="green")
        about = f"project ({check.files} file{'s' if check.files != 1 else ''})"
        stdout().print(Text.assemble(mark, plain_line(f"  {_short(path.resolve())}: {about}")), soft_wrap=True)
        _show_lines(_shorter(check.errors, path), _shorter(check.warnings, path))


def _shorter(lines: Sequence[str], folder: Path) -> list[str]:
    """The lines with paths as somebody would type them."""
    return [line.replace(f"{folder.resolve()}/", f"{_short(folder.resolve())}/") for line in lines]


def _show(files: Sequence[LoadedFile], notes: Sequence[str], missing: Sequence[str]) -> None:
    console = stdout()
    for file in files:
        mark = Text("failed", style="bold red") if file.problems else Text("ok", style="green")
        about = ", ".join(f"{p.id} ({sum(1 for _ in p.tasks())} tasks)" for p in file.pipelines) or "no pipeline"
        console.print(Text.assemble(mark, plain_line(f"  {_short(file.path)}: {about}")), soft_wrap=True)
        _show_lines(file.problems, file.warnings)
    for note in notes:
        console.print(Text(plain(f"note: {note}"), style="yellow"), soft_wrap=True)
    for lack in missing:
        console.print(Text(plain(f"error: {lack}"), style="red"), soft_wrap=True)


def _show_lines(errors: Sequence[str], warnings: Sequence[str]) -> None:
    for error in errors:
        stdout().print(Text(plain(f"    error: {error}"), style="red"), soft_wrap=True)
    for warning in warnings:
        stdout().print(Text(plain(f"    warning: {warning}"), style="yellow"), soft_wrap=True)


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _file_data(file: LoadedFile) -> dict[str, Any]:
    return {
        "file": str(file.path),
        "ok": not file.problems,
        "pipelines": [{"pipeline": p.id, "tasks": sum(1 for _ in p.tasks())} for p in file.pipelines],
        "problems": [masked(problem) for problem in file.problems],
        "warnings": [masked(warning) for warning in file.warnings],
    }


def _project_data(path: Path, check: ProjectCheck) -> dict[str, Any]:
    return {
        "folder": str(path.resolve()),
        "ok": not check.errors,
        "files": check.files,
        "problems": [masked(error) for error in check.errors],
        "warnings": [masked(warning) for warning in check.warnings],
    }
