"""The command line. Exit codes: 0 succeeded, 1 failed, 2 wrong usage, 130 interrupted."""

from __future__ import annotations

import logging

import click

from . import inspecting, orchestrating
from .demo import demo
from .shared import Group

__all__ = ["app"]


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="starlake-core", prog_name="starlake-orchestrate")
@click.option("-v", "--verbose", is_flag=True, help="Show what happens inside.")
def app(verbose: bool) -> None:
    """Run and inspect Starlake pipelines.

    PATHS are pipeline files, or folders that hold some.
    """
    handler = logging.StreamHandler()
    # Warnings about a pipeline file are collected while it is loaded, and shown with the file.
    handler.setLevel(logging.DEBUG if verbose else logging.ERROR)
    level = logging.DEBUG if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s", handlers=[handler])


for command in (demo, *orchestrating.COMMANDS, *inspecting.COMMANDS):
    app.add_command(command)
