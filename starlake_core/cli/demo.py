"""The command that shows what all of this is for: a small project in a folder of its own, and its pipelines run."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..dsl.orchestration import Overrides
from ..dsl.pipeline import StarlakePipeline
from ..errors import PluginNotFoundError, RunError
from ..model.demo import Demo, DemoTables
from ..model.run import Report, TaskState
from ..orchestrators.requests import request_run
from ..plugins import Plugins, choose, find, installed
from ._command import command
from ._console import stdout
from ._progress import LiveProgress, Progress
from ._recorded_runs import find_recorded_runs, plan_to_finish
from ._running import PlannedRun, announce, exit_code, new_group, run_all, stoppable
from ._selection import PipelineFiles, overrides_options

__all__ = ["demo"]

_PROGRAM = "starlake-orchestrate"
_FOLDER = "starbake"
_ENVIRONMENT = "duckdb"
"""What the pipelines of the demo ask for."""
_RUNNING = ".starlake-demo-running"
"""In the folder while its pipelines run: who finds it goes on with what was interrupted, or failed."""
_LOG = ".starlake-demo.log"
"""In the folder: what the orchestrator printed."""
_ELSEWHERE = ("SL_ROOT", "SL_METADATA", "SL_DATASETS", "SL_INCOMING", "SL_ENV", "SL_DUCKDB_PATH")


@command
@click.argument("folder", default=_FOLDER, type=click.Path(path_type=Path))
@overrides_options
@click.option("--again", is_flag=True, help="Let the files of another day come in, and do nothing else.")
def demo(folder: Path, overrides: Overrides, again: bool) -> None:
    """Write a bakery to FOLDER (./starbake by default), and run it.

    A bakery is a small Starlake project with files and pipelines. The folder is new, empty, or one of an earlier demo, which then goes on:
    what was interrupted is finished, files that came in are loaded, and nothing that is there is written over.
    """
    console, typed = stdout(), _Typed(folder, overrides)
    plugins = _plugins(overrides, again)
    with _alone(folder) as hidden:
        written = plugins.write_demo(folder, again)
        if written is None:
            raise PluginNotFoundError(
                "none of the installed readers of projects has a demo; pip install starlake-core-project"
            )
        if again:
            _show_files(console, written, typed)
            return
        pipelines = _load(written, overrides)
        before = plugins.show_demo(folder)
        reports = _run(console, folder, written, pipelines, overrides, plugins)
        if exit_code(reports):
            _say(console, f"\nIt is not finished. When the reason is gone, this goes on: {typed.command('demo')}")
            log = folder / _LOG
            if log.exists() and log.stat().st_size:
                _say(console, f"What the orchestrator printed is in {log}")
            sys.exit(exit_code(reports))
        after = plugins.show_demo(folder)
        _show_tables(console, before, after)
        _show_next(console, typed, pipelines)
        if hidden:
            names = " ".join(hidden)
            _say(
                console,
                f"\nThe demo did without {', '.join(hidden)} of this shell. Before you type the above: unset {names}",
            )


def _plugins(overrides: Overrides, again: bool) -> Plugins:
    """The readers of projects; what else is missing is named at once, before anything is written."""
    missing = set()
    for role, name in (("orchestrator", overrides.orchestrator), ("environment", overrides.environment)):
        if name and not again:
            find(role, name)
    if not again:
        if not installed("orchestrator"):
            missing.add("starlake-core-local")
        if not overrides.environment and _ENVIRONMENT not in {plugin.name for plugin in installed("environment")}:
            missing.add("starlake-core-duckdb")
    if not installed("project"):
        missing.add("starlake-core-project")
    if missing:
        raise PluginNotFoundError(
            f"the demo needs what is not installed here. Install it with: pip install {' '.join(sorted(missing))}"
        )
    if not again:
        choose("orchestrator", overrides.orchestrator, None)
    plugins = Plugins()
    for plugin in installed("project"):
        plugins.add("project", plugin.name)
    return plugins


@contextmanager
def _alone(folder: Path) -> Iterator[list[str]]:
    """While this block is open, the project is the folder, whatever the variables of the shell say; gives those that said something else."""
    root, before = str(folder.resolve()), dict(os.environ)
    hidden = [name for name in before if name in _ELSEWHERE or name.startswith("SL_AREA_")]
    hidden = sorted(name for name in hidden if (name, os.path.realpath(before[name])) != ("SL_ROOT", root))
    for name in hidden:
        del os.environ[name]
    os.environ["SL_ROOT"] = root
    try:
        yield hidden
    finally:
        os.environ.pop("SL_ROOT")
        os.environ.update({name: before[name] for name in (*hidden, "SL_ROOT") if name in before})


class _Typed:
    """What the user typed, to be typed again.

    Args:
        folder: of the demo.
        overrides: as given.
    """

    def __init__(self, folder: Path, overrides: Overrides) -> None:
        self.folder = folder
        self._flags = [
            *(["--orchestrator", overrides.orchestrator] if overrides.orchestrator else []),
            *(["--environment", overrides.environment] if overrides.environment else []),
            *(word for name, value in overrides.options.items() for word in ("--option", f"{name}={value}")),
        ]

    def command(self, name: str, *words: object) -> str:
        """A command line that does something with the demo, from where the user is."""
        where = [] if name == "demo" and self.folder == Path(_FOLDER) else [str(self.folder)]
        if name == "run":
            where = []
        return f"{_program()} {shlex.join([name, *where, *map(str, words), *self._flags])}"


def _program() -> str:
    """What starts this program here."""
    typed = Path(sys.argv[0])
    if typed.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m starlake_core"
    found = shutil.which(_PROGRAM)
    if typed.name != _PROGRAM or (found and os.path.realpath(found) == os.path.realpath(typed)):
        return _PROGRAM
    return shlex.quote(str(typed))


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style=style), soft_wrap=True)


def _load(written: Demo, overrides: Overrides) -> list[StarlakePipeline]:
    return PipelineFiles((written.pipelines,), overrides).load()


def _run(
    console: Console,
    folder: Path,
    written: Demo,
    pipelines: Sequence[StarlakePipeline],
    overrides: Overrides,
    plugins: Plugins,
) -> list[Report]:
    """Run what there is to run; the reports of the pipelines, none where nothing waits."""
    running = folder / _RUNNING
    unfinished = running.exists()
    if not (written.made or written.waiting or unfinished):
        _say(
            console,
            f"{written.about.capitalize()} is in {folder}, and all files that came in are loaded: nothing to do.",
        )
        return []
    what = "is written to" if written.made else "is in"
    _say(console, f"{written.about.capitalize()} {what} {folder}; its pipelines {'go on' if unfinished else 'run'}.\n")
    running.touch()
    with _quiet(folder / _LOG) as heard:
        live = heard.is_terminal and not os.environ.get("NO_LIVE")
        progress = LiveProgress(heard, transient=True) if live else Progress(heard)
        reports = _finish(pipelines, written, overrides, progress) if unfinished else _run_new(pipelines, progress)
        if unfinished and not exit_code(reports):
            # What came in while nobody finished it was none of the business of those runs.
            still = plugins.write_demo(folder, again=False)
            reports = _run_new(pipelines, progress) if still is not None and still.waiting else reports
    if not exit_code(reports):
        running.unlink(missing_ok=True)
    return reports


@contextmanager
def _quiet(log: Path) -> Iterator[Console]:
    """While this block is open, what hosts print goes to a file: hundreds of lines with some; gives a console that is still heard."""
    if logging.getLogger().level <= logging.DEBUG:  # --verbose: the user wants to see it all
        yield stdout()
        return
    width = None if sys.stdout.isatty() else stdout().width
    sys.stdout.flush()
    real = os.dup(1)
    try:
        with log.open("wb") as file, os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding) as heard:
            os.dup2(file.fileno(), 1)
            yield Console(file=heard, emoji=False, width=width)
    finally:
        sys.stdout.flush()
        os.dup2(real, 1)
        os.close(real)


def _finish(
    pipelines: Sequence[StarlakePipeline], written: Demo, overrides: Overrides, progress: Progress
) -> list[Report]:
    """Go on with what was interrupted, or failed."""
    try:
        reports = _run_unfinished(pipelines, progress)
    except RunError as error:  # the pipelines, or the options, are others now
        _say(progress.console, f"What was begun cannot go on, so it begins anew: {error}\n")
        reports = []
    if reports:
        return reports
    # Nobody remembers how far it came. What is on its way is loaded without a look at what comes in, then what comes in.
    anew = replace(overrides, options={**overrides.options, "pre_load_strategy": "none"})
    steps = [[one for one in _load(written, anew) if one.trigger is None]]
    if written.waiting:
        steps.append([one for one in pipelines if one.trigger is None])
    steps.append([one for one in pipelines if one.trigger is not None])
    for step in steps:
        reports = _run_new(step, progress)
        if exit_code(reports):
            break
    return reports


def _run_new(pipelines: Sequence[StarlakePipeline], progress: Progress) -> list[Report]:
    """Run pipelines now, and wait for their end."""
    group = new_group()
    planned = [PlannedRun(pipeline, request_run(pipeline, None, group=group)) for pipeline in pipelines]
    announce(planned)
    with stoppable():
        return run_all(planned, progress)


def _run_unfinished(pipelines: Sequence[StarlakePipeline], progress: Progress) -> list[Report]:
    """Finish the latest runs that did not end well, as ``resume`` does; nothing where the orchestrators remember none."""
    reports = find_recorded_runs(pipelines, None) or []
    unfinished = next((report for report in reports if report.state != TaskState.SUCCEEDED), None)
    if unfinished is None:
        return []
    with stoppable():
        return run_all(plan_to_finish(unfinished, pipelines, reports, stdout()), progress)


def _show_files(console: Console, written: Demo, typed: _Typed) -> None:
    if not written.came:
        _say(
            console,
            f"The files of that day had come in already. Load them, unless a server does: {typed.command('demo')}",
        )
        return
    _say(console, "Files came in:\n")
    table = Table(box=None, show_header=False)
    for name, about in written.came:
        table.add_row(name, Text(about, style="dim"))
    console.print(table)
    _say(console, f"\nLoad them, unless a server does: {typed.command('demo')}")


def _show_tables(console: Console, before: DemoTables | None, after: DemoTables | None) -> None:
    if after is None:
        _say(console, "\nIts tables are where the environment keeps them; they cannot be shown from here.")
        return
    known = dict(before.counts) if before is not None else {}
    new = bool(known) and known != dict(after.counts)
    table = Table("table", box=None)
    table.add_column("rows", justify="right")
    if new:
        table.add_column("new", justify="right")
    for name, rows in after.counts:
        more = rows - known.get(name, 0)
        table.add_row(name, str(rows), *([f"{more:+}" if more else ""] if new else []))
    console.print()
    console.print(table)
    if not after.query:
        return
    _say(console, f"\n{after.title}, from {after.database}:\n")
    _say(console, after.query + "\n", "cyan")
    result = Table(*after.columns, box=None)
    for row in after.rows:
        result.add_row(*map(Text, row))
    console.print(result)


def _show_next(console: Console, typed: _Typed, pipelines: Sequence[StarlakePipeline]) -> None:
    plugins = pipelines[0].orchestration.plugins
    dependent = next((p.source for p in pipelines if p.trigger is not None), "")
    third = (
        ("give the pipelines to the server", typed.command("deploy"))
        if plugins.implements("sl_deploy")
        else (
            f"change SQL in {typed.folder / 'metadata' / 'transform'}, and compute anew",
            typed.command("run", os.path.relpath(dependent or pipelines[0].source)),
        )
    )
    _say(console, "\nTry next", "bold")
    for why, line in (
        ("let the files of another day come in", typed.command("demo", "--again")),
        ("see what runs after what", typed.command("graph")),
        third,
    ):
        _say(console, f"  # {why}", "dim")
        _say(console, f"  {line}")
