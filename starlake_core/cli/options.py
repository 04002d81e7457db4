"""The command that lists the options of plugins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from ..options import DeclaredOption
from ..plugins import choose, installed, select
from ._command import command
from ._console import stdout
from ._json import emit

__all__ = ["options"]

_COLUMNS = ("option", "plugin", "type", "default", "variable", "meaning")


@command
@click.option("--orchestrator", metavar="NAME", help="Orchestrator to use.")
@click.option("--environment", metavar="NAME", help="Environment to use; all installed ones by default.")
@click.option("--addon", "addons", metavar="NAME", multiple=True, help="Add-on to use; all installed ones by default.")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "markdown", "json"]),
    default="table",
    show_default=True,
)
def options(orchestrator: str | None, environment: str | None, addons: Sequence[str], output_format: str) -> None:
    """List the options of the core, the orchestrator, the environments and the add-ons."""
    declared = _declared(orchestrator, environment, addons)
    if output_format == "json":
        emit("options", {"options": [_option_data(item) for item in declared]})
        return
    rows = [_row(item) for item in declared]
    if output_format == "markdown":
        _show_markdown(rows)
        return
    table = Table(*_COLUMNS, box=None)
    for row in rows:
        table.add_row(*map(Text, row))
    stdout().print(table)


def _declared(orchestrator: str | None, environment: str | None, addons: Sequence[str]) -> Iterable[DeclaredOption]:
    """Return the options of the orchestrator with each of the environments and add-ons, without repetition."""
    declared: dict[tuple[str, str], DeclaredOption] = {}
    environments = [environment] if environment else sorted({plugin.name for plugin in installed("environment")})
    chosen = choose("orchestrator", orchestrator, None) if installed("orchestrator") or orchestrator else None
    extra = addons or sorted({plugin.name for plugin in installed("add-on")})
    for name, addon in [*((name, "") for name in environments or [""]), *(("", addon) for addon in extra)]:
        for item in select(chosen, name or None, (addon,) if addon else ()).declared_options():
            declared.setdefault((item.plugin, item.option.name), item)
    return declared.values()


def _show_markdown(rows: Iterable[Sequence[str]]) -> None:
    click.echo(f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}")
    for name, plugin, kind, default, variable, meaning in rows:
        cells = [f"`{name}`", plugin, kind, _code(default), _code(variable), meaning]
        click.echo("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _row(item: DeclaredOption) -> list[str]:
    option = item.option
    kind = option.type.allowed.removeprefix("one of ") if option.type.name == "enum" else option.type.name
    default = "required" if option.required else _default(option.default)
    doc = option.doc if option.effective else f"Accepted, no effect. {option.doc}"
    return [" / ".join([option.name, *option.aliases]), item.plugin, kind, default, option.env, doc]


def _default(value: object) -> str:
    if value is None or value == () or value == {}:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _option_data(item: DeclaredOption) -> dict[str, Any]:
    option = item.option
    default = option.default
    if not (default is None or isinstance(default, (bool, int, str, Mapping))):
        default = list(default) if isinstance(default, Sequence) else str(default)
    return {
        "option": option.name,
        "aliases": list(option.aliases),
        "plugin": item.plugin,
        "type": option.type.name,
        "allowed": option.type.allowed,
        "default": default,
        "required": option.required,
        "variable": option.env or None,
        "effective": option.effective,
        "meaning": option.doc,
    }
