"""The command that writes a small project and runs its pipelines."""

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
"""The environment of the pipelines of the demo."""
_RUNNING = ".starlake-demo-running"
"""Exists in the folder while its pipelines run. A later demo that finds it finishes interrupted or failed runs."""
_LOG = ".starlake-demo.log"
"""The file in the folder with the output of the orchestrator."""
_ELSEWHERE = ("SL_ROOT", "SL_METADATA", "SL_DATASETS", "SL_INCOMING", "SL_ENV", "SL_DUCKDB_PATH")


@command
@click.argument("folder", default=_FOLDER, type=click.Path(path_type=Path))
@overrides_options
@click.option("--again", is_flag=True, help="Only deliver the files of another day.")
def demo(folder: Path, overrides: Overrides, again: bool) -> None:
    """Write a demo project to FOLDER (./starbake by default), and run it.

    The project is a bakery with a few files and pipelines. FOLDER must be new, empty, or from an earlier demo. An
    earlier demo continues: it finishes interrupted runs, loads new files, and overwrites nothing.
    """
    console, typed = stdout(), _Typed(folder, overrides)
    plugins = _plugins(overrides, again)
    with _alone(folder) as hidden:
        written = plugins.write_demo(folder, again)
        if written is None:
            raise PluginNotFoundError(
                "no installed reader of projects has a demo; install one with: pip install starlake-core-project"
            )
        if again:
            _show_files(console, written, typed)
            return
        pipelines = _load(written, overrides)
        before = plugins.show_demo(folder)
        reports = _run(console, folder, written, pipelines, overrides, plugins)
        if exit_code(reports):
            _say(console, f"\nThe demo is not finished. Fix the cause, and continue with: {typed.command('demo')}")
            log = folder / _LOG
            if log.exists() and log.stat().st_size:
                _say(console, f"The output of the orchestrator is in {log}")
            sys.exit(exit_code(reports))
        after = plugins.show_demo(folder)
        _show_tables(console, before, after)
        _show_next(console, typed, pipelines)
        if hidden:
            names = " ".join(hidden)
            _say(
                console,
                f"\nThe demo ignored {', '.join(hidden)} of this shell. Before you run the commands above: unset {names}",
            )


def _plugins(overrides: Overrides, again: bool) -> Plugins:
    """Return the readers of projects. Report other missing plugins now, before anything is written."""
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
            f"the demo needs plugins that are not installed. Install them with: pip install {' '.join(sorted(missing))}"
        )
    if not again:
        choose("orchestrator", overrides.orchestrator, None)
    plugins = Plugins()
    for plugin in installed("project"):
        plugins.add("project", plugin.name)
    return plugins


@contextmanager
def _alone(folder: Path) -> Iterator[list[str]]:
    """In this block, the folder is the project, whatever the environment variables say. Yield the variables that say
    something else."""
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
    """What the user typed, to show commands in the same form.

    Args:
        folder: the folder of the demo.
        overrides: the overrides as given.
    """

    def __init__(self, folder: Path, overrides: Overrides) -> None:
        self.folder = folder
        self._flags = [
            *(["--orchestrator", overrides.orchestrator] if overrides.orchestrator else []),
            *(["--environment", overrides.environment] if overrides.environment else []),
            *(word for name, value in overrides.options.items() for word in ("--option", f"{name}={value}")),
        ]

    def command(self, name: str, *words: object) -> str:
        """Return a command line for the demo, relative to the working directory."""
        where = [] if name == "demo" and self.folder == Path(_FOLDER) else [str(self.folder)]
        if name == "run":
            where = []
        return f"{_program()} {shlex.join([name, *where, *map(str, words), *self._flags])}"


def _program() -> str:
    """Return the command that starts this program."""
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
    """Run the pipelines, and return their reports; none if there is nothing to do."""
    running = folder / _RUNNING
    unfinished = running.exists()
    if not (written.made or written.waiting or unfinished):
        _say(
            console,
            f"{written.about.capitalize()} is in {folder}, and all delivered files are loaded: nothing to do.",
        )
        return []
    what = "is written to" if written.made else "is in"
    _say(
        console, f"{written.about.capitalize()} {what} {folder}; its pipelines {'continue' if unfinished else 'run'}.\n"
    )
    running.touch()
    with _quiet(folder / _LOG) as heard:
        live = heard.is_terminal and not os.environ.get("NO_LIVE")
        progress = LiveProgress(heard, transient=True) if live else Progress(heard)
        reports = _finish(pipelines, written, overrides, progress) if unfinished else _run_new(pipelines, progress)
        if unfinished and not exit_code(reports):
            # Those runs do not cover files that arrived before they were finished.
            still = plugins.write_demo(folder, again=False)
            reports = _run_new(pipelines, progress) if still is not None and still.waiting else reports
    if not exit_code(reports):
        running.unlink(missing_ok=True)
    return reports


@contextmanager
def _quiet(log: Path) -> Iterator[Console]:
    """In this block, the output of orchestrators, which can be hundreds of lines, goes to a file. Yield a console that
    still prints."""
    if logging.getLogger().level <= logging.DEBUG:  # with --verbose, show everything
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
    """Finish runs that were interrupted or failed."""
    try:
        reports = _run_unfinished(pipelines, progress)
    except RunError as error:  # the pipelines or the options have changed
        _say(progress.console, f"The interrupted runs cannot continue, so new ones start: {error}\n")
        reports = []
    if reports:
        return reports
    # There is no record of how far it came. First load the files already being processed, and then the incoming files.
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
    """Run pipelines now, and wait until they end."""
    group = new_group()
    planned = [PlannedRun(pipeline, request_run(pipeline, None, group=group)) for pipeline in pipelines]
    announce(planned)
    with stoppable():
        return run_all(planned, progress)


def _run_unfinished(pipelines: Sequence[StarlakePipeline], progress: Progress) -> list[Report]:
    """Finish the latest unsuccessful runs, as ``resume`` does; nothing if there are none."""
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
            f"The files of that day have already been delivered. Load them, unless a server does: {typed.command('demo')}",
        )
        return
    _say(console, "New files:\n")
    table = Table(box=None, show_header=False)
    for name, about in written.came:
        table.add_row(name, Text(about, style="dim"))
    console.print(table)
    _say(console, f"\nLoad them, unless a server does: {typed.command('demo')}")


def _show_tables(console: Console, before: DemoTables | None, after: DemoTables | None) -> None:
    if after is None:
        _say(console, "\nThe environment keeps its tables where they cannot be shown from here.")
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
        ("deploy the pipelines to the server", typed.command("deploy"))
        if plugins.implements("sl_deploy")
        else (
            f"change SQL in {typed.folder / 'metadata' / 'transform'}, and compute again",
            typed.command("run", os.path.relpath(dependent or pipelines[0].source)),
        )
    )
    _say(console, "\nTry next", "bold")
    for why, line in (
        ("deliver the files of another day", typed.command("demo", "--again")),
        ("show the graph of the tasks", typed.command("graph")),
        third,
    ):
        _say(console, f"  # {why}", "dim")
        _say(console, f"  {line}")
