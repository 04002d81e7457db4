"""The commands that run pipelines, and those about their runs."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stdout
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.table import Table
from rich.text import Text

from ..errors import NothingFoundError, RunError
from ..orchestration import Overrides
from ..pipeline import StarlakePipeline
from ..plain import plain, plain_line
from ..run import Report, TaskState
from ..runs import fits, request_run
from ..runtime.guard import interrupts
from ..schedule import aware_date, fire_times
from . import machine
from .drawing import tree
from .output import Output
from .progress import NARROWEST, STYLES, LiveProgress, PlainProgress, Progress, summary
from .running import Planned, new_group, run_all
from .shared import INTERRUPTED, Command, choice, date, load, output_lost, pairs, selection, stderr, stdout

__all__ = ["COMMANDS", "exit_code", "run_new", "run_unfinished"]

unsafe = click.option(
    "--retry-unsafe",
    type=click.Choice(["doubtful", "blind"]),
    default=None,
    help="Do a load, an append or an acknowledgement check again where that is not safe: doubtful, if its rows may be in already; blind, also if its "
    "files cannot be put back.",
)

Restricted = tuple[StarlakePipeline, tuple[str, ...], tuple[str, ...]]


def _restricted(pipelines: list[StarlakePipeline], select: Sequence[str], exclude: Sequence[str]) -> list[Restricted]:
    """The pipelines that have a selected task, each with the patterns that fit it; a pattern that fits none is an error."""
    for pattern in (*select, *exclude):
        if not any(fits(task, pattern) for pipeline in pipelines for task in pipeline.tasks()):
            raise NothingFoundError(
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
    """While this block is open, SIGTERM and SIGHUP stop as Ctrl-C does."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    before: dict[signal.Signals, Any] = {}
    try:
        # Where whoever started this process had it ignored, nobody would learn how a child ended.
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in interrupts():
            before[number] = signal.signal(number, interrupt)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _progress(form: str = "text") -> Progress:
    console = stderr() if form == "json" else stdout()
    # A table that changes needs a terminal that can move its cursor, and room for it.
    lively = console.is_terminal and not console.is_dumb_terminal and console.width >= NARROWEST
    return LiveProgress(console) if lively and not os.environ.get("NO_LIVE") else PlainProgress(console)


def _run(
    command: str,
    planned: Sequence[Planned],
    progress: Progress,
    form: str,
    keep_going: bool = True,
    earlier: Sequence[Report] = (),
) -> NoReturn:
    with _stoppable(), _in_background(), redirect_stdout(sys.stderr) if form == "json" else nullcontext():
        reports = run_all(planned, progress, keep_going)
    if form == "json":
        machine.emit(command, {"runs": [machine.report_data(report) for report in (*earlier, *reports)]})
    lost = output_lost()
    if lost:
        stderr().print(Text(f"warning: some of the output could not be written: {lost}"), soft_wrap=True)
    sys.exit(exit_code(reports))


def exit_code(reports: Sequence[Report]) -> int:
    """How a command ends that ran pipelines."""
    if any(report.state == TaskState.CANCELLED for report in reports):
        return INTERRUPTED
    return 0 if all(report.succeeded for report in reports) else 1


def run_new(pipelines: Sequence[StarlakePipeline], progress: Progress) -> list[Report]:
    """Run pipelines now, and wait for their end.

    Args:
        pipelines: in the order to run.
        progress: told of everything.
    """
    group = new_group()
    planned = [Planned(pipeline, request_run(pipeline, None, group=group)) for pipeline in pipelines]
    _announce(planned)
    with _stoppable():
        return run_all(planned, progress)


def run_unfinished(pipelines: Sequence[StarlakePipeline], progress: Progress) -> list[Report]:
    """Finish the latest runs that did not end well, as ``resume`` does; nothing where the orchestrators remember none.

    Args:
        pipelines: in the order to run.
        progress: told of everything.
    """
    reports = _remembered(pipelines, None) or []
    unfinished = next((report for report in reports if report.state != TaskState.SUCCEEDED), None)
    if unfinished is None:
        return []
    with _stoppable():
        return run_all(_again(pipelines, reports, unfinished), progress)


@contextmanager
def _in_background() -> Iterator[None]:
    """While this block is open, nobody waits for who reads the output."""
    with ExitStack() as stack:
        if isinstance(sys.stdout, Output):
            stack.enter_context(sys.stdout.in_background())
        yield


def _announce(planned: Sequence[Planned]) -> None:
    """Tell every orchestrator of the runs that will follow, so that those that never start can be resumed."""
    by_orchestration: dict[int, list[Planned]] = {}
    for item in planned:
        by_orchestration.setdefault(id(item.pipeline.orchestration), []).append(item)
    for items in by_orchestration.values():
        items[0].pipeline.orchestration.plugins.plan_runs(
            [item.pipeline for item in items], [item.request for item in items]
        )


@click.command(cls=Command)
@selection
@choice
@click.option("--parallelism", type=click.IntRange(1), help="Tasks at once, where the orchestrator lets you decide.")
@click.option(
    "--date",
    "scheduled",
    callback=date,
    metavar="DATE",
    help="Scheduled date (end of the data interval); now by default.",
)
@unsafe
@machine.form
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
    retry_unsafe: str | None,
    form: str,
) -> None:
    """Run pipelines, one after the other, and wait for their end.

    A pipeline that others of these pipelines feed runs after them, and only if they brought something new.
    """
    pipelines = load(paths, Overrides(orchestrator, environment, options))
    group = new_group()
    planned = [
        Planned(
            pipeline,
            request_run(
                pipeline,
                scheduled,
                variables=variables,
                select=chosen,
                exclude=left_out,
                parallelism=parallelism,
                group=group,
                retry_unsafe=retry_unsafe or "",
            ),
        )
        for pipeline, chosen, left_out in _restricted(pipelines, select, exclude)
    ]
    progress = _progress(form)  # before anything is recorded
    _announce(planned)
    _run("run", planned, progress, form)


@click.command("dry-run", cls=Command)
@selection
@choice
@click.option(
    "--date",
    "scheduled",
    callback=date,
    metavar="DATE",
    help="Scheduled date (end of the data interval); now by default.",
)
@machine.form
def dry_run(
    paths: Sequence[Path],
    orchestrator: str | None,
    environment: str | None,
    options: dict[str, str],
    select: tuple[str, ...],
    exclude: tuple[str, ...],
    variables: dict[str, str],
    scheduled: datetime | None,
    form: str,
) -> None:
    """Show the graph and every command, ready to paste into a shell; run nothing."""
    console = stdout()
    planned_runs: list[Report] = []
    pipelines = load(paths, Overrides(orchestrator, environment, options))
    for pipeline, chosen, left_out in _restricted(pipelines, select, exclude):
        request = request_run(pipeline, scheduled, variables=variables, select=chosen, exclude=left_out, dry_run=True)
        report = pipeline.start_run(request)
        if form == "json":
            planned_runs.append(report)
            continue
        console.print(tree(pipeline))
        for task in report.tasks:
            if task.reason and task.state == TaskState.DRY_RUN:
                click.echo(f"# {task.id}")
                click.echo(plain(task.reason))
    if form == "json":
        machine.emit("dry-run", {"runs": [_with_commands(report) for report in planned_runs]})


def _with_commands(report: Report) -> dict[str, Any]:
    """A dry run, in which what would run is called what it is."""
    data = machine.report_data(report)
    for task in data["tasks"]:
        task["shell"] = task.pop("reason") if task["state"] == TaskState.DRY_RUN else ""
    return data


@click.command(cls=Command)
@selection
@choice
@click.option("--parallelism", type=click.IntRange(1), help="Tasks at once, where the orchestrator lets you decide.")
@click.option("--start", required=True, callback=date, metavar="DATE", help="First scheduled date, included.")
@click.option("--end", required=True, callback=date, metavar="DATE", help="Last scheduled date, included.")
@click.option("--keep-going", is_flag=True, help="Do not stop at the first run that fails.")
@machine.form
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
    keep_going: bool,
    form: str,
) -> None:
    """Run every interval of the schedules between two dates, one after the other, up to the first that fails."""
    pipelines = load(paths, Overrides(orchestrator, environment, options))
    group = new_group()
    planned: list[Planned] = []
    native: list[Iterable[Report]] = []
    for pipeline, chosen, left_out in _restricted(pipelines, select, exclude):
        if pipeline.cron is None:
            raise RunError(
                f"pipeline {pipeline.id} has no cron schedule, so there are no intervals to backfill; name only files "
                "whose pipelines have one"
            )
        first, last = aware_date(start, pipeline.zone), aware_date(end, pipeline.zone)
        requests = [
            request_run(
                pipeline,
                moment,
                variables=variables,
                select=chosen,
                exclude=left_out,
                parallelism=parallelism,
                group=group,
            )
            for moment in _counted(pipeline.id, fire_times(pipeline.cron, first, last, pipeline.zone))
        ]
        reports = pipeline.orchestration.plugins.backfill(pipeline, requests) if requests else None
        if reports is not None:
            native.append(reports)
        else:
            planned += [Planned(pipeline, request) for request in requests]
    if not planned and not native:
        raise RunError(f"no schedule fires from {start.isoformat()} to {end.isoformat()}")
    if len(planned) > MANY:
        stderr().print(f"note: {len(planned)} runs will follow, one after the other", highlight=False)
    earlier = _report(native, form) if native else []
    progress = _progress(form)
    _announce(planned)
    _run("backfill", planned, progress, form, keep_going, earlier)


def _counted(pipeline_id: str, moments: Iterable[datetime]) -> Iterator[datetime]:
    """Say how far the planning of many runs has come."""
    for number, moment in enumerate(moments, start=1):
        if number % STEP == 0:
            stderr().print(
                f"planning pipeline {pipeline_id}: {number} runs, up to {moment:%Y-%m-%d}; Ctrl-C stops it",
                highlight=False,
            )
        yield moment


def _report(backfills: Iterable[Iterable[Report]], form: str) -> list[Report]:
    """Show the runs of backfills that an orchestrator does by itself, as they end; leave if one did not succeed."""
    ended: list[Report] = []
    console = stderr() if form == "json" else stdout()
    with _stoppable():
        for reports in backfills:
            for report in reports:
                summary(console, report)
                ended.append(report)
    if not all(report.succeeded for report in ended):
        if form == "json":
            machine.emit("backfill", {"runs": [machine.report_data(report) for report in ended]})
        sys.exit(1)
    return ended


def _reports(
    paths: Sequence[Path], overrides: Overrides, limit: int | None
) -> tuple[list[StarlakePipeline], list[Report]]:
    pipelines = load(paths, overrides)
    reports = _remembered(pipelines, limit)
    if reports is None:
        label = pipelines[0].orchestration.plugins.label("orchestrator")
        raise RunError(f"{label} keeps no record of runs that can be read from here; use its own user interface")
    return pipelines, reports


def _remembered(pipelines: Sequence[StarlakePipeline], limit: int | None) -> list[Report] | None:
    """The runs of pipelines that their orchestrators remember; None where one of them keeps no record."""
    reports: dict[str, Report] = {}
    for pipeline in pipelines:
        found = pipeline.orchestration.plugins.list_runs(pipeline.options, Path(pipeline.source or "."), limit)
        if found is None:
            return None
        reports.update((report.run_id, report) for report in found)
    ids = {pipeline.id for pipeline in pipelines}
    return [report for report in reports.values() if report.pipeline_id in ids]


def _again(
    pipelines: Sequence[StarlakePipeline],
    reports: Sequence[Report],
    unfinished: Report,
    variables: dict[str, str] | None = None,
    parallelism: int | None = None,
    retry_unsafe: str | None = None,
    form: str = "text",
) -> list[Planned]:
    """The runs that were asked for together with one that did not end well, to go on with."""
    by_id = {pipeline.id: pipeline for pipeline in pipelines}
    group = unfinished.group
    together = [r for r in reversed(reports) if (r.group == group if group else r.run_id == unfinished.run_id)]
    planned = []
    for report in together:
        if report.state == TaskState.RUNNING:
            console = stderr() if form == "json" else stdout()
            console.print(f"run {report.run_id} still has processes; waiting until they are gone", highlight=False)
        pipeline = by_id[report.pipeline_id]
        assert report.interval is not None
        asked = request_run(
            pipeline,
            report.interval.end,
            run_id=report.run_id,
            variables=variables,
            parallelism=parallelism,
            group=group,
            retry_unsafe=retry_unsafe or "",
        )
        request = replace(asked, run=replace(asked.run, interval=report.interval), resume=True)
        planned.append(Planned(pipeline, request, report if report.state == TaskState.SUCCEEDED else None))
    return planned


@click.command(cls=Command)
@selection
@click.option("--run", "run_id", metavar="ID", help="The run to finish; the latest that did not finish by default.")
@click.option(
    "--var",
    "variables",
    multiple=True,
    callback=pairs,
    metavar="NAME=VALUE",
    help="A value for ${var:NAME}; values are not recorded.",
)
@click.option("--parallelism", type=click.IntRange(1), help="Tasks at once.")
@unsafe
@machine.form
def resume(
    paths: Sequence[Path],
    orchestrator: str | None,
    environment: str | None,
    options: dict[str, str],
    run_id: str | None,
    variables: dict[str, str],
    parallelism: int | None,
    retry_unsafe: str | None,
    form: str,
) -> None:
    """Finish runs that were killed, stopped or failed, without doing again what had succeeded.

    The runs that were asked for together are resumed together, those that had not begun included.
    """
    pipelines, reports = _reports(paths, Overrides(orchestrator, environment, options), None)
    by_id = {pipeline.id: pipeline for pipeline in pipelines}
    unfinished = [report for report in reports if report.state != TaskState.SUCCEEDED]
    if run_id is not None:
        unfinished = [report for report in unfinished if report.run_id == run_id]
    if not unfinished:
        known = next((report for report in reports if report.run_id == run_id), None)
        if run_id is not None and known is None:
            raise NothingFoundError(f"there is no run '{run_id}' of {', '.join(by_id)}; see: starlake-orchestrate runs")
        if form == "json":
            machine.emit("resume", {"runs": []})
            return
        stdout().print(
            f"nothing to resume: run {run_id} succeeded" if known else "nothing to resume: every recorded run succeeded"
        )
        return
    again = _again(pipelines, reports, unfinished[0], variables, parallelism, retry_unsafe, form)
    _run("resume", again, _progress(form), form)


@click.command(cls=Command)
@selection
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="How many at most.")
@click.option(
    "--forget", multiple=True, metavar="ID", help="Forget a run, for example one that cannot be resumed any more."
)
@machine.form
def runs(
    paths: Sequence[Path],
    orchestrator: str | None,
    environment: str | None,
    options: dict[str, str],
    limit: int,
    forget: tuple[str, ...],
    form: str,
) -> None:
    """List the runs that the orchestrator remembers, the newest first."""
    if forget:
        _forget(load(paths, Overrides(orchestrator, environment, options)), forget)
    _, reports = _reports(paths, Overrides(orchestrator, environment, options), max(limit, 200))
    if form == "json":
        machine.emit("runs", {"runs": [machine.report_data(report) for report in reports[:limit]]})
        return
    table = Table("run", "pipeline", "state", "scheduled date", "started", "time", "tasks", "reason", box=None)
    for report in reports[:limit]:
        counts: dict[str, int] = {}
        for task in report.tasks:
            counts[task.state] = counts.get(task.state, 0) + 1
        seconds = f"{(report.ended - report.started).total_seconds():.1f} s" if report.ended and report.started else ""
        table.add_row(
            Text(plain_line(report.run_id)),
            Text(plain_line(report.pipeline_id)),
            Text(report.state, style=STYLES.get(report.state, "")),
            report.interval.end.isoformat(timespec="minutes") if report.interval else "",
            report.started.astimezone().strftime("%Y-%m-%d %H:%M:%S") if report.started else "",
            seconds,
            ", ".join(f"{count} {state}" for state, count in counts.items()),
            Text(plain_line(report.reason)),
        )
    stdout().print(table if reports else "no runs yet")


def _forget(pipelines: Sequence[StarlakePipeline], run_ids: Sequence[str]) -> None:
    for run_id in run_ids:
        answers = [
            pipeline.orchestration.plugins.forget_run(pipeline.options, Path(pipeline.source or "."), run_id)
            for pipeline in pipelines
        ]
        if all(answer is None for answer in answers):
            raise RunError("this orchestrator keeps no record of runs that can be changed from here")
        if not any(answers):
            raise NothingFoundError(f"there is no run '{run_id}'; see: starlake-orchestrate runs")


MANY = 1000
"""Runs of a backfill above which it says how many will follow."""
STEP = 20_000
"""Runs of a backfill after which it says how far its planning has come."""

COMMANDS = (run, dry_run, backfill, resume, runs)
