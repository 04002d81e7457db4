"""The command that starts the project of a new plugin."""

from __future__ import annotations

import re
from pathlib import Path

import click

from ..errors import NothingFoundError, StarlakeError
from ..plain_text import plain_line
from ..plugins import installed, select
from ._command import command

__all__ = ["new_plugin"]

_ROLES = {
    "orchestrator": "orchestrator",
    "environment": "environment",
    "service": "environment",
    "addon": "add-on",
    "add-on": "add-on",
}
_TEMPLATES = {**_ROLES, "service": "service"}
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


@command
@click.argument("role", type=click.Choice(list(_ROLES)))
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to write it; starlake-NAME by default.")
@click.option("--template", default="template", show_default=True, metavar="NAME", help="Add-on with the templates.")
def new_plugin(role: str, name: str, folder: Path | None, template: str) -> None:
    """Write the project of a new plugin, which installs, type-checks, and passes its tests.

    NAME is what users of the plugin type. A service is an environment whose jobs run elsewhere, and survive the worker.
    """
    if not _NAME.fullmatch(name):
        raise NothingFoundError(
            f"{name!r} is not a name for a plugin; use lower-case letters, digits and single underscores, such as my_cloud"
        )
    taken = next((plugin for plugin in installed(_ROLES[role]) if plugin.name.lower() == name), None)
    if taken is not None:
        raise StarlakeError(
            f"{taken.distribution} {taken.version} already has {_ROLES[role]} '{name}'; choose another name"
        )
    folder = folder or Path(f"starlake-{name.replace('_', '-')}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StarlakeError(f"{folder} exists and is not an empty folder; choose another one with --folder")
    files = select(addons=[template]).write_plugin(_TEMPLATES[role], name, folder)
    if files is None:
        raise StarlakeError(f"add-on '{template}' has no template for {role}")
    for file in files:
        click.echo(plain_line(str(file)))
    click.echo(f"\ncd {folder}\npip install -e '.[test]'\nstarlake-orchestrate plugins {name} --check\nmypy\npytest")
