"""The command that lists the installed plugins."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from ..errors import NothingFoundError, PluginError, did_you_mean
from ..plain_text import plain
from ..plugins import ROLES, PluginInfo, Plugins, installed
from ..plugins.doubts import find_strays, unmet_requirements
from ._command import command
from ._console import stdout
from ._dry_calls import DryCalls, call_everything
from ._json import emit, masked
from ._parameters import json_format, read_pairs

__all__ = ["plugins"]


@dataclass(frozen=True)
class _Found:
    """What is known about an installed plugin."""

    plugin: PluginInfo
    problem: str
    hooks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    calls: DryCalls | None = None

    @property
    def problems(self) -> list[str]:
        return self.calls.problems if self.calls is not None else [self.problem] if self.problem else []


@command
@click.argument("names", nargs=-1)
@click.option(
    "--check",
    is_flag=True,
    help="Call everything that needs no service: options, a job for each command, a runner, and the graphs of the conformance kit.",
)
@click.option(
    "--option",
    "-o",
    "options",
    multiple=True,
    callback=read_pairs,
    metavar="NAME=VALUE",
    help="An option for --check; required options that are missing get a sample.",
)
@json_format
def plugins(names: Sequence[str], check: bool, options: Mapping[str, str], output_format: str) -> None:
    """List the installed plugins: role, name, distribution, version, and whether they load.

    Entry points that nothing reads, and requirements that are not met, are listed below. NAMES limits the list.
    """
    listed = _named(names)
    found = [_look(plugin, check and count == 1, options, count) for plugin, count in listed]
    strays = [str(stray) for stray in find_strays(ROLES.values())]
    if output_format == "json":
        emit("plugins", {"plugins": [_data(one) for one in found], "strays": [masked(stray) for stray in strays]})
    else:
        _show(found, strays, check)
    if check and (strays or any(one.problems for one in found)):
        sys.exit(1)


def _named(names: Sequence[str]) -> list[tuple[PluginInfo, int]]:
    """Return the plugins to list, each with how often its name is provided."""
    every = installed()
    known = [plugin.name for plugin in every]
    for name in names:
        if name not in known:
            raise NothingFoundError(f"no plugin '{name}' is installed.{did_you_mean(name, known)}")
    keys = [(plugin.role, plugin.name) for plugin in every]
    return [(plugin, keys.count((plugin.role, plugin.name))) for plugin in every if not names or plugin.name in names]


def _look(plugin: PluginInfo, check: bool, options: Mapping[str, str], count: int) -> _Found:
    """Load a plugin, and call it if wanted."""
    if count > 1:
        return _Found(plugin, f"provided {count} times; uninstall all but one")
    selected = Plugins()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DeprecationWarning)
        try:
            selected.add(plugin.role, plugin.name)
            problem, hooks = "", selected.hooks()
        except PluginError as error:
            problem, hooks = str(error), []
    # Those that pluggy raises for a hook name the module of the hook; others belong to libraries.
    old = [str(one.message) for one in caught if one.filename == selected.file]
    return _Found(
        plugin,
        problem,
        tuple(hooks),
        (*unmet_requirements(plugin.distribution), *dict.fromkeys(old)),
        call_everything(plugin, options) if check else None,
    )


def _show(found: Sequence[_Found], strays: Sequence[str], check: bool) -> None:
    console = stdout()
    table = Table("role", "name", "distribution", "version", "status", box=None)
    for one in found:
        plugin = one.plugin
        table.add_row(plugin.role, plugin.name, plugin.distribution, plugin.version, _status(one))
    empty = "no plugins are installed; install some, for example: pip install starlake-core-local starlake-core-duckdb"
    console.print(table if found else empty)
    for one in found if check else ():
        _show_calls(one)
    for one in found:
        for warning in one.warnings if one.calls is None else ():
            console.print(Text(plain(f"warning: {one.plugin}: {warning}"), style="yellow"), soft_wrap=True)
    for stray in strays:
        console.print(Text(plain(f"warning: {stray}"), style="yellow"), soft_wrap=True)


def _show_calls(one: _Found) -> None:
    console = stdout()
    calls = one.calls or DryCalls()
    console.print(Text(plain(f"\n{one.plugin}"), style="bold"), soft_wrap=True)
    if one.hooks:
        console.print(Text(f"  hooks: {', '.join(one.hooks)}"), soft_wrap=True)
    if calls.called:
        graphs = sum(what.startswith("pipeline ") for what in calls.called)
        others = [what for what in calls.called if not what.startswith("pipeline")]
        words = [*others, *([f"{graphs} pipelines"] if graphs else [])]
        console.print(Text(plain(f"  works: {', '.join(words)}"), style="green"), soft_wrap=True)
    for problem in one.problems:
        console.print(Text(plain(f"  error: {problem}"), style="red"), soft_wrap=True)
    for note in (*calls.notes, *(warning for warning in one.warnings if not warning.startswith("it needs"))):
        console.print(Text(plain(f"  note: {note}"), style="yellow"), soft_wrap=True)


def _status(one: _Found) -> Text:
    if one.problem:
        return Text(plain(one.problem), style="red")
    if one.calls is None:
        return Text("loads", style="green")
    count = len(one.problems)
    return Text(f"{count} problem{'s' if count > 1 else ''}", style="red") if count else Text("works", style="green")


def _data(one: _Found) -> dict[str, Any]:
    plugin = one.plugin
    return {
        "role": plugin.role,
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "loads": not one.problem,
        "problem": masked(one.problem),
        "hooks": list(one.hooks),
        "warnings": [masked(warning) for warning in one.warnings],
        "called": list(one.calls.called) if one.calls is not None else [],
        "problems": [masked(problem) for problem in one.problems],
        "notes": [masked(note) for note in one.calls.notes] if one.calls is not None else [],
    }
