"""The command that writes the pipelines of a project as pipeline files."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..errors import PluginNotFoundError
from ..plain_text import plain_line
from ._command import command
from ._parameters import read_pairs
from ._projects import project_readers

__all__ = ["export"]


@command
@click.argument("project", type=click.Path(path_type=Path))
@click.option("--orchestrator", required=True, metavar="NAME", help="The orchestrator of the files.")
@click.option("--environment", metavar="NAME", help="The environment; that of each dag by default.")
@click.option(
    "--option", "options", multiple=True, callback=read_pairs, metavar="NAME=VALUE", help="An option for all."
)
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path), help="The folder for the files.")
@click.option("--check", is_flag=True, help="Write nothing, and fail if a file is missing or out of date.")
def export(
    project: Path, orchestrator: str, environment: str | None, options: dict[str, str], output: Path, check: bool
) -> None:
    """Write the pipelines of a Starlake project as pipeline files.

    The same project gives the same files. Files of an earlier export that no pipeline needs any more are removed, and
    others stay.
    """
    found = project_readers().export_project(project.resolve(), orchestrator, environment, options, output)
    if found is None:
        raise PluginNotFoundError(
            "no installed reader of projects exports pipelines; install one with: pip install starlake-core-project"
        )
    stale: list[Path] = []
    for path, text in found.items():
        before = path.read_text(encoding="utf-8") if path.is_file() else None
        if before == text:
            continue
        stale.append(path)
        if check:
            continue
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for path in stale:
        gone = found[path] is None
        word = "out of date" if check else "removed" if gone else "written"
        click.echo(plain_line(f"{path}: {word}"))
    if check and stale:
        sys.exit(1)
