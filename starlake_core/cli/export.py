"""The command that writes the pipelines of a project as pipeline files."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..errors import PluginNotFoundError, RunError
from ..plain_text import plain_line
from ..plugins import check_name
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
@click.option(
    "--by",
    default="dag",
    show_default=True,
    metavar="WORD",
    help="A pipeline for each dag and schedule, domain or tag, or one for the project.",
)
@click.option("--name", metavar="NAME", help="What the project is called in the files; its folder by default.")
@click.option("--check", is_flag=True, help="Write nothing, and fail if a file is missing or out of date.")
def export(
    project: Path,
    orchestrator: str,
    environment: str | None,
    options: dict[str, str],
    output: Path,
    by: str,
    name: str | None,
    check: bool,
) -> None:
    """Write the pipelines of a Starlake project as pipeline files.

    The same project gives the same files. Files of an earlier export of the same project that no pipeline needs any
    more are removed, and others stay.
    """
    for role, word in (("orchestrator", orchestrator), ("environment", environment)):
        if word:
            check_name(role, word)
    folder = project.resolve()
    found = project_readers().export_project(
        folder, orchestrator, environment, options, output, by, name or folder.name
    )
    if found is None:
        raise PluginNotFoundError(
            "no installed reader of projects exports pipelines; install one with: pip install starlake-core-project"
        )
    stale: list[Path] = []
    try:
        for path, text in found.items():
            before = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
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
    except OSError as error:
        raise RunError(f"cannot write to {output}: {error.strerror or error}") from error
    for path in stale:
        gone = found[path] is None
        word = "out of date" if check else "removed" if gone else "written"
        click.echo(plain_line(f"{path}: {word}"))
    if check and stale:
        sys.exit(1)
