"""Runs several pipelines that were requested together, from the announcement to the exit code."""

from __future__ import annotations

import logging
import secrets
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from typing import NoReturn

from rich.text import Text

from ..dsl.pipeline import StarlakePipeline
from ..errors import RunError
from ..model.run import Report, RunRequest, TaskState
from ..processes.supervisor import interrupts
from ._command import INTERRUPTED
from ._console import stderr
from ._feeding import fed_request
from ._json import emit, report_data
from ._output import Output, output_lost
from ._progress import LastLines, Progress, summary

logger = logging.getLogger(__name__)

__all__ = ["PlannedRun", "announce", "exit_code", "new_group", "run_all", "run_and_exit", "stoppable"]


@dataclass(frozen=True)
class PlannedRun:
    """A requested run.

    Attributes:
        pipeline: the pipeline to run.
        request: the request for the run.
        done: its report, if it ended earlier.
    """

    pipeline: StarlakePipeline
    request: RunRequest
    done: Report | None = None


def new_group() -> str:
    """Return a name for runs that are requested together."""
    return secrets.token_hex(4)


def announce(planned: Sequence[PlannedRun]) -> None:
    """Announce the planned runs to every orchestrator, so that runs that never start can be resumed.

    Args:
        planned: the runs, in the order in which to run them.
    """
    for items in _by_orchestration(planned):
        items[0].pipeline.orchestration.plugins.plan_runs(
            [item.pipeline for item in items], [item.request for item in items]
        )


def run_all(planned: Sequence[PlannedRun], progress: Progress, keep_going: bool = True) -> list[Report]:
    """Run one pipeline after the other. A pipeline is skipped if its upstream pipelines brought nothing new.

    Args:
        planned: the runs, in the order in which to run them.
        progress: receives all events.
        keep_going: whether to continue after a run that did not succeed.

    Returns:
        A report for each run, in order, up to one that the user stopped.
    """
    ended: dict[str, tuple[StarlakePipeline, Report]] = {}
    reports: list[Report] = []
    for item in planned:
        report = item.done if item.done is not None else _run_unless_unfed(item, ended, progress)
        reports.append(report)
        ended[item.pipeline.id] = (item.pipeline, report)
        if report.state == TaskState.CANCELLED or not (keep_going or report.succeeded):
            why = "was stopped" if report.state == TaskState.CANCELLED else "failed"
            reason = f"not started, because {report.pipeline_id} {why}"
            rest = [left for left in planned[len(reports) :] if left.done is None]
            _hold(rest, reason)
            left_out = [_planned_report(left, reason) for left in rest]
            _show(partial(progress.left_out, left_out))
            break
    return reports


def run_and_exit(
    command: str,
    planned: Sequence[PlannedRun],
    progress: Progress,
    output_format: str,
    *,
    keep_going: bool = True,
    earlier: Sequence[Report] = (),
    incomplete: bool = False,
) -> NoReturn:
    """Run pipelines as the whole work of a command, and exit.

    Args:
        command: the name of the command.
        planned: the announced runs, in the order in which to run them.
        progress: receives all events.
        output_format: ``text`` or ``json``.
        keep_going: whether to continue after a run that did not succeed.
        earlier: the runs of this command that have already ended, for its document.
        incomplete: whether there are pipelines that could not be built, so that the command fails in any case.
    """
    as_json = output_format == "json"
    # The output of pipelines must not end up in the document.
    printed: AbstractContextManager[object] = redirect_stdout(sys.stderr) if as_json else nullcontext()
    with stoppable(), _in_background(), printed:
        reports = run_all(planned, progress, keep_going)
    if as_json:
        emit(command, {"runs": [report_data(report) for report in (*earlier, *reports)]})
    lost = output_lost()
    if lost:
        stderr().print(Text(f"warning: some of the output could not be written: {lost}"), soft_wrap=True)
    sys.exit(exit_code(reports) or int(incomplete))


def exit_code(reports: Sequence[Report]) -> int:
    """Return the exit code of a command that ran pipelines.

    Args:
        reports: the reports of the runs.
    """
    if any(report.state == TaskState.CANCELLED for report in reports):
        return INTERRUPTED
    return 0 if all(report.succeeded for report in reports) else 1


@contextmanager
def stoppable() -> Iterator[None]:
    """In this block, SIGTERM and SIGHUP stop the process as Ctrl-C does."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    with ExitStack() as stack:
        # If the signal was ignored when this process started, the exit codes of children would be lost.
        stack.callback(signal.signal, signal.SIGCHLD, signal.signal(signal.SIGCHLD, signal.SIG_DFL))
        for number in interrupts():
            stack.callback(signal.signal, number, signal.signal(number, interrupt))
        yield


@contextmanager
def _in_background() -> Iterator[None]:
    """In this block, nothing waits for a slow reader of the output."""
    with ExitStack() as stack:
        if isinstance(sys.stdout, Output):
            stack.enter_context(sys.stdout.in_background())
        yield


def _hold(planned: Sequence[PlannedRun], reason: str) -> None:
    """Record why runs do not start. A record that cannot be written changes nothing about that."""
    for items in _by_orchestration(planned):
        with_requests = [item.pipeline for item in items], [item.request for item in items]
        try:
            items[0].pipeline.orchestration.plugins.hold_runs(*with_requests, reason)
        except RunError as error:
            logger.warning("%s", error)


def _planned_report(planned: PlannedRun, reason: str) -> Report:
    return Report(planned.pipeline.id, planned.request.run.run_id, TaskState.PLANNED, reason=reason)


def _by_orchestration(planned: Sequence[PlannedRun]) -> list[list[PlannedRun]]:
    found: dict[int, list[PlannedRun]] = {}
    for item in planned:
        found.setdefault(id(item.pipeline.orchestration), []).append(item)
    return list(found.values())


def _run_unless_unfed(
    planned: PlannedRun, ended: dict[str, tuple[StarlakePipeline, Report]], progress: Progress
) -> Report:
    pipeline = planned.pipeline
    request = fed_request(pipeline, planned.request, ended, lambda text: _show(partial(progress.note, text)))
    if isinstance(request, str):
        report = _planned_report(planned, request)
        _hold([planned], request)
        _show(partial(progress.held, report))
        return report
    return _run_one(pipeline, request, progress)


def _run_one(pipeline: StarlakePipeline, request: RunRequest, progress: Progress) -> Report:
    heard = LastLines(progress)
    _show(lambda: progress.begin(pipeline, request.run))
    report = Report(pipeline.id, request.run.run_id, TaskState.FAILED, reason="it did not finish")
    try:
        report = pipeline.start_run(replace(request, listener=heard))
    finally:
        _show(lambda: progress.end(report))
    _show(lambda: summary(progress.console, report, heard))
    return report


def _show(part: Callable[[], object]) -> None:
    """Show something. An error of the display does not affect the run."""
    try:
        part()
    except (Exception, SystemExit) as error:
        logger.warning("the progress cannot be shown: %s: %s", type(error).__name__, error)
