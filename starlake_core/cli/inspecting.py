"""The commands that show what is there: pipelines, plugins, options; and those that move files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from ..errors import PluginError, RunError
from ..graph import graph_json
from ..loading import find_files, load_file, load_files, pipelines_of
from ..options import Declared
from ..orchestration import Overrides, overriding
from ..pipeline import StarlakePipeline
from ..plain import plain, plain_line
from ..plugins import Installed, Plugins, choose, installed, select
from . import machine
from .drawing import dot, mermaid, tree
from .shared import Command, load, output_lost, selection, stdout

__all__ = ["COMMANDS"]


@click.command(cls=Command)
@selection
@click.option(
    "--format", "form", type=click.Choice(["tree", "mermaid", "dot", "json"]), default="tree", show_default=True
)
def graph(
    paths: Sequence[Path], orchestrator: str | None, environment: str | None, options: dict[str, str], form: str
) -> None:
    """Show the graph of pipelines."""
    pipelines = load(paths, Overrides(orchestrator, environment, options))
    if form == "tree":
        for pipeline in pipelines:
            stdout().print(tree(pipeline))
        return
    draw = {"mermaid": mermaid, "dot": dot, "json": graph_json}[form]
    texts = [draw(pipeline) for pipeline in pipelines]
    click.echo("[\n" + ",\n".join(texts) + "\n]" if form == "json" and len(texts) > 1 else "\n\n".join(texts))


@click.command(cls=Command)
@selection
@click.option("--strict", is_flag=True, help="Options that no selected plugin knows are errors.")
@machine.form
def check(
    paths: Sequence[Path],
    orchestrator: str | None,
    environment: str | None,
    options: dict[str, str],
    strict: bool,
    form: str,
) -> None:
    """Build everything and report all problems of all files."""
    console = stdout()
    files = load_files(paths, Overrides(orchestrator, environment, options, strict))
    named = {path.resolve() for path in paths}
    for file in files:
        if file.path in named and not (file.pipelines or file.problems):
            file.problems.append(
                f"{file.path.name}: no pipeline: no 'with orchestration.sl_create_pipeline(...)' block ended there"
            )
    pipelines = [pipeline for file in files for pipeline in file.pipelines]
    notes = _together(pipelines, lambda plugins: plugins.check_pipelines)
    missing = _together(pipelines, lambda plugins: plugins.check_site)
    if form == "json":
        ok = not missing and not any(file.problems for file in files)
        found = [machine.file_data(file) for file in files]
        machine.emit("check", {"ok": ok, "files": found, "notes": notes, "missing": missing})
        sys.exit(0 if ok and not output_lost() else 1)
    problems = 0
    for file in files:
        mark = Text("failed", style="bold red") if file.problems else Text("ok", style="green")
        about = ", ".join(f"{p.id} ({sum(1 for _ in p.tasks())} tasks)" for p in file.pipelines) or "no pipeline"
        console.print(Text.assemble(mark, plain_line(f"  {_short(file.path)}: {about}")), soft_wrap=True)
        for problem in file.problems:
            console.print(Text(plain(f"    error: {problem}"), style="red"), soft_wrap=True)
        for warning in file.warnings:
            console.print(Text(plain(f"    warning: {warning}"), style="yellow"), soft_wrap=True)
        problems += len(file.problems)
    for finding in notes:
        console.print(Text(plain(f"note: {finding}"), style="yellow"), soft_wrap=True)
    for lack in missing:
        console.print(Text(plain(f"error: {lack}"), style="red"), soft_wrap=True)
    problems += len(missing)
    if problems:
        console.print(
            f"{problems} problem{'s' if problems > 1 else ''} in {len(files)} file{'s' if len(files) > 1 else ''}"
        )
        sys.exit(1)


def _together(
    pipelines: Sequence[StarlakePipeline], asked: Callable[[Plugins], Callable[[Sequence[StarlakePipeline]], list[str]]]
) -> list[str]:
    """What orchestrators say of the pipelines of all files."""
    found: list[str] = []
    by_orchestrator: dict[str, list[StarlakePipeline]] = {}
    for pipeline in pipelines:
        by_orchestrator.setdefault(pipeline.orchestration.plugins.orchestrator, []).append(pipeline)
    for same in by_orchestrator.values():
        found += asked(same[0].orchestration.plugins)(same)
    return found


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _trouble(plugin: Installed) -> str:
    try:
        Plugins().add(plugin.role, plugin.name)
    except PluginError as error:
        return str(error)
    return ""


def _status(plugin: Installed) -> Text:
    trouble = _trouble(plugin)
    return Text(plain(trouble), style="red") if trouble else Text("loads", style="green")


@click.command(cls=Command)
@machine.form
def plugins(form: str) -> None:
    """List the installed plugins: role, name, distribution, version, and whether each loads."""
    if form == "json":
        found = installed()
        names = [(plugin.role, plugin.name) for plugin in found]
        machine.emit(
            "plugins",
            {
                "plugins": [
                    machine.plugin_data(
                        plugin,
                        "provided several times; uninstall all but one"
                        if names.count((plugin.role, plugin.name)) > 1
                        else _trouble(plugin),
                    )
                    for plugin in found
                ]
            },
        )
        return
    table = Table("role", "name", "distribution", "version", "status", box=None)
    found = installed()
    for plugin in found:
        twins = [other for other in found if (other.role, other.name) == (plugin.role, plugin.name)]
        twice = Text(f"provided {len(twins)} times; uninstall all but one", style="red")
        status = _status(plugin) if len(twins) == 1 else twice
        table.add_row(plugin.role, plugin.name, plugin.distribution, plugin.version, status)
    stdout().print(
        table
        if found
        else "no plugins are installed; for example: pip install starlake-core-local starlake-core-duckdb"
    )


@click.command(cls=Command)
@click.option("--orchestrator", metavar="NAME", help="Which orchestrator.")
@click.option("--environment", metavar="NAME", help="Which environment; all installed ones by default.")
@click.option("--format", "form", type=click.Choice(["table", "markdown", "json"]), default="table", show_default=True)
def options(orchestrator: str | None, environment: str | None, form: str) -> None:
    """List the options: of the core, of the orchestrator, and of the environments."""
    declared: dict[tuple[str, str], Declared] = {}
    environments = [environment] if environment else sorted({plugin.name for plugin in installed("environment")})
    chosen = choose("orchestrator", orchestrator, None) if installed("orchestrator") or orchestrator else None
    for name in environments or [""]:
        for item in select(chosen, name or None).declared_options():
            declared.setdefault((item.plugin, item.option.name), item)
    if form == "json":
        machine.emit("options", {"options": [machine.option_data(item) for item in declared.values()]})
        return
    rows = [_option_row(item) for item in declared.values()]
    if form == "markdown":
        click.echo("| option | plugin | type | default | variable | meaning |\n|---|---|---|---|---|---|")
        for row in rows:
            cells = [
                f"`{row[0]}`",
                row[1],
                row[2],
                f"`{row[3]}`" if row[3] else "",
                f"`{row[4]}`" if row[4] else "",
                row[5],
            ]
            click.echo("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        return
    table = Table("option", "plugin", "type", "default", "variable", "meaning", box=None)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    stdout().print(table)


def _option_row(item: Declared) -> list[str]:
    option = item.option
    kind = option.type.allowed.removeprefix("one of ") if option.type.name == "enum" else option.type.name
    default = "required" if option.required else _default(option.default)
    doc = option.doc if option.effective else f"Accepted, no effect. {option.doc}"
    return [" / ".join([option.name, *option.aliases]), item.plugin, kind, default, option.env, doc]


def _default(value: Any) -> str:
    if value is None or value == () or value == {}:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _moved(done: Sequence[Path] | None, plugins_: Plugins, verb: str) -> None:
    """Say which files were written or removed."""
    if done is None:
        raise RunError(
            f"{plugins_.label('orchestrator')} has nothing to {verb}: it reads pipeline files where they are"
        )
    for path in done:
        click.echo(plain_line(str(path)))


@click.command(cls=Command)
@selection
def deploy(paths: Sequence[Path], orchestrator: str | None, environment: str | None, options: dict[str, str]) -> None:
    """Bring pipeline files to where the orchestrator loads them."""
    overrides = Overrides(orchestrator, environment, options)
    files = find_files(paths)
    pipelines = pipelines_of([load_file(path, overrides) for path in files])
    missing = _together(pipelines, lambda plugins: plugins.check_site)
    if missing:
        raise RunError("\n".join([*missing, "Nothing was deployed"]))
    plugins_ = pipelines[0].orchestration.plugins
    with overriding(overrides):  # a plugin may load the files again, or keep what was asked for
        _moved(plugins_.deploy(files, pipelines[0].options), plugins_, "deploy")


@click.command(cls=Command)
@selection
def delete(paths: Sequence[Path], orchestrator: str | None, environment: str | None, options: dict[str, str]) -> None:
    """Take deployed pipeline files away again."""
    overrides = Overrides(orchestrator, environment, options)
    files = find_files(paths)
    pipelines = pipelines_of([load_file(path, overrides) for path in files])
    plugins_ = pipelines[0].orchestration.plugins
    with overriding(overrides):
        _moved(plugins_.delete(files, pipelines[0].options), plugins_, "delete")


COMMANDS = (graph, check, plugins, options, deploy, delete)
