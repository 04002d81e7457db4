"""The group of all commands. Exit codes: 0 succeeded, 1 failed, 2 wrong usage, 130 interrupted; ``explain`` has more."""

from __future__ import annotations

import logging
import os
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
    "new_plugin",
    "options",
    "plugins",
    "resume",
    "run",
    "runs",
    "ui",
    "watch",
)
"""The modules of this package with a command of the same name."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="starlake-core", prog_name="starlake-orchestrate")
@click.option("-v", "--verbose", is_flag=True, help="Show debug messages.")
@click.option(
    "--plugins-dir",
    type=click.Path(exists=True, file_okay=False),
    help="Folder with plugins that are single files, named after them (SL_PLUGINS_DIR).",
)
def app(verbose: bool, plugins_dir: str | None) -> None:
    """Run and inspect Starlake pipelines.

    PATHS are pipeline files, folders with pipeline files, or folders of Starlake projects.
    """
    if plugins_dir is not None:
        os.environ["SL_PLUGINS_DIR"] = os.path.abspath(plugins_dir)  # for the processes of tasks, too
    handler = logging.StreamHandler()
    # Warnings about a pipeline file are collected while it is loaded, and shown with the file.
    handler.setLevel(logging.DEBUG if verbose else logging.ERROR)
    level = logging.DEBUG if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s", handlers=[handler])


# Import all of them now, not on demand. Shared imports take most of the time anyway, and once click runs, Ctrl-C could
# raise an exception in the middle of an import, which may swallow it.
for _name in COMMANDS:
    app.add_command(getattr(import_module(f".{_name}", __package__), _name))
