"""The commands. Exit codes: 0 succeeded, 1 failed, 2 wrong usage, 130 interrupted."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..errors import PluginError, RunError, StarlakeError
from ..graph import graph_json
from ..options import Declared
from ..orchestration import Overrides
from ..pipeline import StarlakePipeline
from ..plugins import Installed, choose, installed
from ..plugins import select as load_plugins
from ..run import Report, TaskState
from ..runs import new_run
from ..schedule import aware_date, fire_times
from .drawing import dot, mermaid, tree
from .loading import find_files, load_file, load_files, pipelines_of
from .progress import STYLES, LiveProgress, PlainProgress, Progress
from .running import Planned, new_group, run_all, sort_pipelines

__all__ = ["app"]

F = TypeVar("F", bound=Callable[..., Any])

INTERRUPTED = 130


class _Command(click.Command):
    """A command whose errors are one message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except StarlakeError as error:
            _fail(str(error))
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)


class _Group(click.Group):
    command_class = _Command


def _fail(message: str, code: int = 1) -> NoReturn:
    console = Console(stderr=True)
    for line in message.splitlines():
        console.print(Text("error: ", style="bold red").append(line, style="default not bold"), soft_wrap=True)
    sys.exit(code)


def _stdout() -> Console:
    # A pipe has no width: what is written to it must not be wrapped at the 80 columns of nobody's terminal.
    return Console() if sys.stdout.isatty() else Console(width=200)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
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


def _pairs(ctx: click.Context, parameter: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    result = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{value!r} is not of the form NAME=VALUE")
        result[name] = text
    return result


def _date(ctx: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no date; write 2026-01-31 or 2026-01-31T06:00:00+01:00") from None


def _selection(function: F) -> F:
    """The options of every command that loads pipeline files."""
    decorators = [
        click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path)),
        click.option("--orchestrator", metavar="NAME", help="Which orchestrator; wins over the file."),
        click.option("--environment", metavar="NAME", help="Which environment; wins over the file."),
        click.option(
            "--option",
            "-o",
            "options",
            multiple=True,
            callback=_pairs,
            metavar="NAME=VALUE",
            help="An option; wins over the file.",
        ),
    ]
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def _choice(function: F) -> F:
    """The options of every command that runs tasks."""
    decorators = [
        click.option(
            "--select",
            multiple=True,
            metavar="PATTERN",
            help="Only these tasks: id, path, transform, domain or domain.table; * and ?.",
        ),
        click.option("--exclude", multiple=True, metavar="PATTERN", help="All but these tasks."),
        click.option(
            "--var", "variables", multiple=True, callback=_pairs, metavar="NAME=VALUE", help="A value for ${var:NAME}."
        ),
    ]
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def _load(paths: Sequence[Path], overrides: Overrides) -> list[StarlakePipeline]:
    files = load_files(paths, overrides)
    for file in files:
        for warning in file.warnings:
            Console(stderr=True).print(Text("warning: ", style="yellow").append(warning), soft_wrap=True)
    return sort_pipelines(pipelines_of(files))


Restricted = tuple[StarlakePipeline, tuple[str, ...], tuple[str, ...]]


def _restricted(pipelines: list[StarlakePipeline], select: Sequence[str], exclude: Sequence[str]) -> list[Restricted]:
    """The pipelines that have a selected task, each with the patterns that fit it; a pattern that fits none is an error."""
    from ..runs import fits

    for pattern in (*select, *exclude):
        if not any(fits(task, pattern) for pipeline in pipelines for task in pipeline.tasks()):
            raise RunError(
                f"pattern '{pattern}' fits no task of {', '.join(p.id for p in pipelines)}; it takes the id or path of a task, a transform, a "
                "domain or domain.table, with * and ? as wildcards. See the tasks with: starlake-orchestrate graph"
            )
    result = []
    for pipeline in pipelines:
        tasks = list(pipeline.tasks())
        chosen = tuple(p for p in select if any(fits(task, p) for task in tasks))
        if not select or chosen:
            result.append((pipeline, chosen, tuple(p for p in exclude if any(fits(task, p) for task in tasks))))
    return result


@contextmanager
def _stoppable() -> Iterator[None]:
    """While this block is open, SIGTERM stops as Ctrl-C does."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(planned: Sequence[Planned]) -> NoReturn:
    console = _stdout()
    progress: Progress = (
        LiveProgress(console) if console.is_terminal and not os.environ.get("NO_LIVE") else PlainProgress(console)
    )
    with _stoppable():
        reports = run_all(planned, progress)
    if any(report.state == TaskState.CANCELLED for report in reports):
        sys.exit(INTERRUPTED)
    sys.exit(0 if all(report.succeeded for report in reports) else 1)


def _announce(planned: Sequence[Planned]) -> None:
    """Tell every orchestrator of the runs that will follow, so that those that never start can be resumed."""
    by_orchestration: dict[int, list[Planned]] = {}
    for item in planned:
        by_orchestration.setdefault(id(item.pipeline.orchestration), []).append(item)
    for items in by_orchestration.values():
        items[0].pipeline.orchestration.plugins.hook.sl_plan_runs(
            pipelines=[item.pipeline for item in items], runs=[item.run for item in items]
        )


@app.command()
@_selection
@_choice
@click.option("--parallelism", type=click.IntRange(1), help="Tasks at once, where the orchestrator lets you decide.")
@click.option(
    "--date",
    "scheduled",
    callback=_date,
    metavar="DATE",
    help="Scheduled date (end of the data interval); now by default.",
)
def run(
    paths: Sequence[Path],
    orchestrator: str | None,
    environment: str | None,
    options: dict[str, str],
    select: tuple[str, ...],
    exclude: tuple[str, ...],
    variables: dict[str, str],
    parallelism: int | None,
    scheduled: datetime | None,
) -> None:
    """Run pipelines, one after the other, and wait for their end.

    A pipeline that others of these pipelines feed runs after them, and only if they brought something new.
    """
    pipelines = _load(paths, Overrides(orchestrator, environment, options))
    group = new_group()
    planned = [
        Planned(
            pipeline,
            new_run(
                pipeline,
                scheduled,
                variables=variables,
                select=chosen,
                exclude=left_out,
                parallelism=parallelism,
                group=group,
            ),
        )
        for pipeline, chosen, left_out in _restricted(pipelines, select, exclude)
    ]
    _announce(planned)
    _run(planned)


@app.command("dry-run")
@_selection
@_choice
@click.option(
    "--date",
    "scheduled",
    callback=_date,
    metavar="DATE",
    help="Scheduled date (end of the data interval); now by default.",
)
def dry_run(
    paths: Sequence[Path],
    orchestrator: str | None,
    environment: str | None,
    options: dict[str, str],
    select: tuple[str, ...],
    exclude: tuple[str, ...],
    variables: dict[str, str],
    scheduled: datetime | None,
) -> None:
    """Show the graph and every command, ready to paste into a shell; run nothing."""
    console = _stdout()
    pipelines = _load(paths, Overrides(orchestrator, environment, options))
    for pipeline, chosen, left_out in _restricted(pipelines, select, exclude):
        run_ = new_run(pipeline, scheduled, variables=variables, select=chosen, exclude=left_out, dry_run=True)
        report = pipeline.start_run(run_)
        console.print(tree(pipeline))
        for task in report.tasks:
            if task.reason and task.state == TaskState.DRY_RUN:
                console.print(f"# {task.id}", highlight=False, markup=False, style="dim", soft_wrap=True)
                console.print(task.reason, highlight=False, markup=False, soft_wrap=True)


@app.command()
@_selection
@_choice
@click.option("--parallelism", type=click.IntRange(1), help="Tasks at once, where the orchestrator lets you decide.")
@click.option("--start", required=True, callback=_date, metavar="DATE", help="First scheduled date, included.")
@click.option("--end", required=True, callback=_date, metavar="DATE", help="Last scheduled date, included.")
def backfill(
    paths: Sequence[Path],
    orchestrator: str | None,
    environment: str | None,
    options: dict[str, str],
    select: tuple[str, ...],
    exclude: tuple[str, ...],
    variables: dict[str, str],
    parallelism: int | None,
    start: datetime,
    end: datetime,
) -> None:
    """Run every interval of the schedules between two dates, one after the other."""
    pipelines = _load(paths, Overrides(orchestrator, environment, options))
    group = new_group()
    planned = []
    for pipeline, chosen, left_out in _restricted(pipelines, select, exclude):
        if pipeline.cron is None:
            raise RunError(
                f"pipeline {pipeline.id} has no cron schedule, so there are no intervals to backfill; name only files "
                "whose pipelines have one"
            )
        first, last = aware_date(start, pipeline.zone), aware_date(end, pipeline.zone)
        for moment in fire_times(pipeline.cron, first, last, pipeline.zone):
            run_ = new_run(
                pipeline,
                moment,
                variables=variables,
                select=chosen,
                exclude=left_out,
                parallelism=parallelism,
                group=group,
            )
            planned.append(Planned(pipeline, run_))
    if not planned:
        raise RunError(f"no schedule fires from {start.isoformat()} to {end.isoformat()}")
    _announce(planned)
    _run(planned)


def _reports(paths: Sequence[Path], overrides: Overrides) -> tuple[list[StarlakePipeline], list[Report]]:
    pipelines = _load(paths, overrides)
    reports: dict[str, Report] = {}
    for pipeline in pipelines:
        found = pipeline.orchestration.plugins.hook.sl_list_runs(
            options=pipeline.options, folder=Path(pipeline.source or ".")
        )
        if found is None:
            label = pipeline.orchestration.plugins.label("orchestrator")
            raise RunError(f"{label} keeps no record of runs that can be read from here; use its own user interface")
        reports.update((report.run_id, report) for report in found)
    ids = {pipeline.id for pipeline in pipelines}
    return pipelines, [report for report in reports.values() if report.pipeline_id in ids]


@app.command()
@_selection
@click.option("--run", "run_id", metavar="ID", help="The run to finish; the latest that did not finish by default.")
@click.option(
    "--var",
    "variables",
    multiple=True,
    callback=_pairs,
    metavar="NAME=VALUE",
    help="A value for ${var:NAME}; values are not recorded.",
)
@click.option("--parallelism", type=click.IntRange(1), help="Tasks at once.")
def resume(
    paths: Sequence[Path],
    orchestrator: str | None,
    environment: str | None,
    options: dict[str, str],
    run_id: str | None,
    variables: dict[str, str],
    parallelism: int | None,
) -> None:
    """Finish runs that were killed, stopped or failed, without doing again what had succeeded.

    The runs that were asked for together are resumed together, those that had not begun included.
    """
    pipelines, reports = _reports(paths, Overrides(orchestrator, environment, options))
    by_id = {pipeline.id: pipeline for pipeline in pipelines}
    unfinished = [report for report in reports if report.state != TaskState.SUCCEEDED]
    if run_id is not None:
        unfinished = [report for report in unfinished if report.run_id == run_id]
    if not unfinished:
        known = next((report for report in reports if report.run_id == run_id), None)
        if run_id is not None and known is None:
            raise RunError(f"there is no run '{run_id}' of {', '.join(by_id)}; see: starlake-orchestrate runs")
        _stdout().print(
            f"nothing to resume: run {run_id} succeeded" if known else "nothing to resume: every recorded run succeeded"
        )
        return
    group = unfinished[0].group
    together = [r for r in reversed(reports) if (r.group == group if group else r.run_id == unfinished[0].run_id)]
    planned = []
    for report in together:
        if report.state == TaskState.RUNNING:
            _stdout().print(f"run {report.run_id} still has processes; waiting until they are gone", highlight=False)
        pipeline = by_id[report.pipeline_id]
        assert report.interval is not None
        started = report.state != TaskState.PLANNED
        run_ = replace(
            new_run(
                pipeline,
                report.interval.end,
                run_id=report.run_id,
                variables=variables,
                parallelism=parallelism,
                group=group,
            ),
            interval=report.interval,
            resume=started,
        )
        planned.append(Planned(pipeline, run_, report if report.state == TaskState.SUCCEEDED else None))
    _run(planned)


@app.command()
@_selection
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="How many at most.")
def runs(
    paths: Sequence[Path], orchestrator: str | None, environment: str | None, options: dict[str, str], limit: int
) -> None:
    """List the runs that the orchestrator remembers, the newest first."""
    _, reports = _reports(paths, Overrides(orchestrator, environment, options))
    table = Table("run", "pipeline", "state", "scheduled date", "started", "time", "tasks", "reason", box=None)
    for report in reports[:limit]:
        counts: dict[str, int] = {}
        for task in report.tasks:
            counts[task.state] = counts.get(task.state, 0) + 1
        seconds = f"{(report.ended - report.started).total_seconds():.1f} s" if report.ended and report.started else ""
        table.add_row(
            report.run_id,
            report.pipeline_id,
            Text(report.state, style=STYLES.get(report.state, "")),
            report.interval.end.isoformat(timespec="minutes") if report.interval else "",
            report.started.astimezone().strftime("%Y-%m-%d %H:%M:%S") if report.started else "",
            seconds,
            ", ".join(f"{count} {state}" for state, count in counts.items()),
            Text(report.reason),
        )
    _stdout().print(table if reports else "no runs yet")


@app.command()
@_selection
@click.option(
    "--format", "form", type=click.Choice(["tree", "mermaid", "dot", "json"]), default="tree", show_default=True
)
def graph(
    paths: Sequence[Path], orchestrator: str | None, environment: str | None, options: dict[str, str], form: str
) -> None:
    """Show the graph of pipelines."""
    pipelines = _load(paths, Overrides(orchestrator, environment, options))
    if form == "tree":
        for pipeline in pipelines:
            _stdout().print(tree(pipeline))
        return
    draw = {"mermaid": mermaid, "dot": dot, "json": graph_json}[form]
    texts = [draw(pipeline) for pipeline in pipelines]
    click.echo("[\n" + ",\n".join(texts) + "\n]" if form == "json" and len(texts) > 1 else "\n\n".join(texts))


@app.command()
@_selection
@click.option("--strict", is_flag=True, help="Options that no selected plugin knows are errors.")
def check(
    paths: Sequence[Path], orchestrator: str | None, environment: str | None, options: dict[str, str], strict: bool
) -> None:
    """Build everything and report all problems of all files."""
    console = _stdout()
    files = load_files(paths, Overrides(orchestrator, environment, options, strict))
    problems = 0
    for file in files:
        mark = Text("failed", style="bold red") if file.problems else Text("ok", style="green")
        about = ", ".join(f"{p.id} ({sum(1 for _ in p.tasks())} tasks)" for p in file.pipelines) or "no pipeline"
        console.print(Text.assemble(mark, f"  {_short(file.path)}: {about}"), soft_wrap=True)
        for problem in file.problems:
            console.print(Text(f"    error: {problem}", style="red"), soft_wrap=True)
        for warning in file.warnings:
            console.print(Text(f"    warning: {warning}", style="yellow"), soft_wrap=True)
        problems += len(file.problems)
    if problems:
        console.print(
            f"{problems} problem{'s' if problems > 1 else ''} in {len(files)} file{'s' if len(files) > 1 else ''}"
        )
        sys.exit(1)


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _status(plugin: Installed) -> Text:
    orchestrator = plugin.name if plugin.role == "orchestrator" else None
    environment = plugin.name if plugin.role == "environment" else None
    try:
        load_plugins(orchestrator, environment, [plugin.name] if plugin.role == "add-on" else [])
    except PluginError as error:
        return Text(str(error), style="red")
    return Text("loads", style="green")


@app.command()
def plugins() -> None:
    """List the installed plugins: role, name, distribution, version, and whether each loads."""
    table = Table("role", "name", "distribution", "version", "status", box=None)
    found = installed()
    for plugin in found:
        twins = [other for other in found if (other.role, other.name) == (plugin.role, plugin.name)]
        twice = Text(f"provided {len(twins)} times; uninstall all but one", style="red")
        status = _status(plugin) if len(twins) == 1 else twice
        table.add_row(plugin.role, plugin.name, plugin.distribution, plugin.version, status)
    _stdout().print(
        table
        if found
        else "no plugins are installed; for example: pip install starlake-core-local starlake-core-duckdb"
    )


@app.command()
@click.option("--orchestrator", metavar="NAME", help="Which orchestrator.")
@click.option("--environment", metavar="NAME", help="Which environment; all installed ones by default.")
@click.option("--format", "form", type=click.Choice(["table", "markdown"]), default="table", show_default=True)
def options(orchestrator: str | None, environment: str | None, form: str) -> None:
    """List the options: of the core, of the orchestrator, and of the environments."""
    declared: dict[tuple[str, str], Declared] = {}
    environments = [environment] if environment else sorted({plugin.name for plugin in installed("environment")})
    chosen = choose("orchestrator", orchestrator, None) if installed("orchestrator") or orchestrator else None
    for name in environments or [""]:
        for item in load_plugins(chosen, name or None).declared_options():
            declared.setdefault((item.plugin, item.option.name), item)
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
    _stdout().print(table)


def _option_row(item: Declared) -> list[str]:
    option = item.option
    kind = option.type.allowed.removeprefix("one of ") if option.type.name == "enum" else option.type.name
    default = "required" if option.required else _default(option.default)
    return [" / ".join([option.name, *option.aliases]), item.plugin, kind, default, option.env, option.doc]


def _default(value: Any) -> str:
    if value is None or value == () or value == {}:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _files(hook_name: str, paths: Sequence[Path], overrides: Overrides) -> None:
    files = find_files(paths)
    loaded = [load_file(path, overrides) for path in files]
    pipelines = pipelines_of(loaded)
    plugins_ = pipelines[0].orchestration.plugins
    done = getattr(plugins_.hook, hook_name)(files=files, options=pipelines[0].options)
    if done is None:
        verb = hook_name.removeprefix("sl_")
        raise RunError(
            f"{plugins_.label('orchestrator')} has nothing to {verb}: it reads pipeline files where they are"
        )
    for path in done:
        click.echo(str(path))


@app.command()
@_selection
def deploy(paths: Sequence[Path], orchestrator: str | None, environment: str | None, options: dict[str, str]) -> None:
    """Bring pipeline files to where the orchestrator loads them."""
    _files("sl_deploy", paths, Overrides(orchestrator, environment, options))


@app.command()
@_selection
def delete(paths: Sequence[Path], orchestrator: str | None, environment: str | None, options: dict[str, str]) -> None:
    """Take deployed pipeline files away again."""
    _files("sl_delete", paths, Overrides(orchestrator, environment, options))
