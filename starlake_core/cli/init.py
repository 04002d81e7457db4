"""The command that writes a new Starlake project."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from ..errors import PluginNotFoundError
from ..plain_text import plain_line
from ._command import command
from ._projects import project_readers

__all__ = ["init"]


@command
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A data file whose table is inferred; may be repeated, and the files may also follow FOLDER.",
)
@click.argument("more", nargs=-1, type=click.Path(path_type=Path))
def init(folder: Path, files: tuple[Path, ...], more: tuple[Path, ...]) -> None:
    """Write a new Starlake project to FOLDER, which runs at once.

    It has a table and a transform, or a table for each file that is given.
    """
    written = project_readers().write_project(folder, [*files, *more])
    if written is None:
        raise PluginNotFoundError(
            "no installed reader of projects writes projects; install one with: pip install starlake-core-project"
        )
    for path in written:
        click.echo(plain_line(str(path)))
    click.echo(plain_line(f"run it with: starlake-orchestrate run {shlex.quote(str(folder))}"))
