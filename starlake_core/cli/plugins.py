"""The command that lists the installed plugins."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from ..errors import PluginError
from ..plain_text import plain
from ..plugins import PluginInfo, Plugins, installed
from ._command import command
from ._console import stdout
from ._json import emit, masked
from ._parameters import json_format

__all__ = ["plugins"]


@command
@json_format
def plugins(output_format: str) -> None:
    """List the installed plugins: role, name, distribution, version, and whether they load."""
    found = installed()
    names = [(plugin.role, plugin.name) for plugin in found]
    counted = [(plugin, names.count((plugin.role, plugin.name))) for plugin in found]
    if output_format == "json":
        emit("plugins", {"plugins": [_plugin_data(plugin, count) for plugin, count in counted]})
        return
    table = Table("role", "name", "distribution", "version", "status", box=None)
    for plugin, count in counted:
        table.add_row(plugin.role, plugin.name, plugin.distribution, plugin.version, _status(plugin, count))
    stdout().print(
        table
        if found
        else "no plugins are installed; install some, for example: pip install starlake-core-local starlake-core-duckdb"
    )


def _status(plugin: PluginInfo, count: int) -> Text:
    if count > 1:
        return Text(f"provided {count} times; uninstall all but one", style="red")
    problem = _problem(plugin)
    return Text(plain(problem), style="red") if problem else Text("loads", style="green")


def _plugin_data(plugin: PluginInfo, count: int) -> dict[str, Any]:
    problem = "provided several times; uninstall all but one" if count > 1 else _problem(plugin)
    return {
        "role": plugin.role,
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "loads": not problem,
        "problem": masked(problem),
    }


def _problem(plugin: PluginInfo) -> str:
    """Return why a plugin does not load; empty if it does."""
    try:
        Plugins().add(plugin.role, plugin.name)
    except PluginError as error:
        return str(error)
    return ""
