"""The group of all commands. Exit codes: 0 succeeded, 1 failed, 2 wrong usage, 130 interrupted; ``explain`` has more."""

from __future__ import annotations

import logging
from importlib import import_module

import click

__all__ = ["COMMANDS", "app"]

COMMANDS = (
    "backfill",
    "check",
    "delete",
    "demo",
    "deploy",
    "dry_run",
    "explain",
    "export",
    "graph",
    "init",
    "options",
    "plugins",
    "resume",
    "run",
    "runs",
    "watch",
)
"""The modules of this package with a command of the same name."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="starlake-core", prog_name="starlake-orchestrate")
@click.option("-v", "--verbose", is_flag=True, help="Show debug messages.")
def app(verbose: bool) -> None:
    """Run and inspect Starlake pipelines.

    PATHS are pipeline files, folders with pipeline files, or folders of Starlake projects.
    """
    handler = logging.StreamHandler()
    # Warnings about a pipeline file are collected while it is loaded, and shown with the file.
    handler.setLevel(logging.DEBUG if verbose else logging.ERROR)
    level = logging.DEBUG if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s", handlers=[handler])


# Import all of them now, not on demand. Shared imports take most of the time anyway, and once click runs, Ctrl-C could
# raise an exception in the middle of an import, which may swallow it.
for _name in COMMANDS:
    app.add_command(getattr(import_module(f".{_name}", __package__), _name))
