"""The command that reports all problems of pipeline files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from ..dsl.pipeline_files import LoadedFile, load_files
from ..plain_text import plain, plain_line
from ._command import command
from ._console import stdout
from ._findings import find_conflicts, find_missing
from ._json import emit, masked
from ._output import output_lost
from ._parameters import json_format
from ._selection import PipelineFiles, pipeline_files

__all__ = ["check"]


@command
@pipeline_files
@click.option("--strict", is_flag=True, help="Treat options that no selected plugin has as errors.")
@json_format
def check(files: PipelineFiles, strict: bool, output_format: str) -> None:
    """Build all pipelines, and report the problems of all files."""
    loaded = load_files(files.paths, replace(files.overrides, strict=strict))
    named = {path.resolve() for path in files.paths}
    for file in loaded:
        if file.path in named and not (file.pipelines or file.problems):
            file.problems.append(
                f"{file.path.name}: no pipeline: no 'with orchestration.sl_create_pipeline(...)' block ended there"
            )
    pipelines = [pipeline for file in loaded for pipeline in file.pipelines]
    notes, missing = find_conflicts(pipelines), find_missing(pipelines)
    if output_format == "json":
        ok = not missing and not any(file.problems for file in loaded)
        emit("check", {"ok": ok, "files": list(map(_file_data, loaded)), "notes": notes, "missing": missing})
        sys.exit(0 if ok and not output_lost() else 1)
    _show(loaded, notes, missing)
    problems = sum(len(file.problems) for file in loaded) + len(missing)
    if problems:
        stdout().print(
            f"{problems} problem{'s' if problems > 1 else ''} in {len(loaded)} file{'s' if len(loaded) > 1 else ''}"
        )
        sys.exit(1)


def _show(files: Sequence[LoadedFile], notes: Sequence[str], missing: Sequence[str]) -> None:
    console = stdout()
    for file in files:
        mark = Text("failed", style="bold red") if file.problems else Text("ok", style="green")
        about = ", ".join(f"{p.id} ({sum(1 for _ in p.tasks())} tasks)" for p in file.pipelines) or "no pipeline"
        console.print(Text.assemble(mark, plain_line(f"  {_short(file.path)}: {about}")), soft_wrap=True)
        for problem in file.problems:
            console.print(Text(plain(f"    error: {problem}"), style="red"), soft_wrap=True)
        for warning in file.warnings:
            console.print(Text(plain(f"    warning: {warning}"), style="yellow"), soft_wrap=True)
    for note in notes:
        console.print(Text(plain(f"note: {note}"), style="yellow"), soft_wrap=True)
    for lack in missing:
        console.print(Text(plain(f"error: {lack}"), style="red"), soft_wrap=True)


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
