"""The command that runs all intervals of a period."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from datetime import datetime

import click

from ..errors import RunError
from ..model.run import Report
from ..model.schedule import aware_date, fire_times
from ._command import command
from ._console import stderr, stdout_unless_json
from ._json import emit, report_data
from ._parameters import json_format, parallelism_option, read_date
from ._progress import choose_progress, summary
from ._running import PlannedRun, announce, new_group, run_and_exit, stoppable
from ._selection import SelectedPipeline, Selection, selection

__all__ = ["backfill"]

_MANY = 1000
"""The number of runs above which the command prints how many will follow."""
_STEP = 20_000
"""The number of runs after which the command prints the progress of its planning."""


@command
@selection
@parallelism_option("Number of tasks that may run at once, if the orchestrator lets you decide.")
@click.option("--start", required=True, callback=read_date, metavar="DATE", help="First scheduled date, included.")
@click.option("--end", required=True, callback=read_date, metavar="DATE", help="Last scheduled date, included.")
@click.option("--keep-going", is_flag=True, help="Do not stop at the first run that fails.")
@json_format
def backfill(
    selection: Selection,
    parallelism: int | None,
    start: datetime,
    end: datetime,
    keep_going: bool,
    output_format: str,
) -> None:
    """Run all intervals of the schedules between two dates, one after the other. Stop at the first that fails.

    Pipelines of a project that have no schedule of their own are left out.
    """
    selected, group = _scheduled(selection), new_group()
    planned: list[PlannedRun] = []
    native: list[Iterable[Report]] = []
    for item in selected:
        requests = [
            item.request_run(moment, parallelism=parallelism, group=group) for moment in _moments(item, start, end)
        ]
        reports = item.pipeline.orchestration.plugins.backfill(item.pipeline, requests) if requests else None
        if reports is not None:
            native.append(reports)
        else:
            planned += [PlannedRun(item.pipeline, request) for request in requests]
    if not planned and not native:
        raise RunError(f"no schedule fires from {start.isoformat()} to {end.isoformat()}")
    if len(planned) > _MANY:
        stderr().print(f"note: {len(planned)} runs will follow, one after the other", highlight=False)
    earlier = _follow(native, output_format) if native else []
    progress = choose_progress(stdout_unless_json(output_format))
    announce(planned)
    run_and_exit(
        "backfill",
        planned,
        progress,
        output_format,
        keep_going=keep_going,
        earlier=earlier,
        incomplete=bool(selection.files.faults),
    )


def _scheduled(selection: Selection) -> list[SelectedPipeline]:
    """Return the selected pipelines, of projects only those with a schedule: nobody can name the others apart."""
    selected = selection.load()
    if not selection.files.projects() or not any(item.pipeline.cron for item in selected):
        return selected
    for item in selected:
        if item.pipeline.cron is None:
            stderr().print(
                f"note: pipeline {item.pipeline.id} has no cron schedule, so it is left out",
                highlight=False,
                markup=False,
            )
    return [item for item in selected if item.pipeline.cron is not None]


def _moments(selected: SelectedPipeline, start: datetime, end: datetime) -> Iterator[datetime]:
    """Return the scheduled dates of a pipeline, and print the progress if there are many."""
    pipeline = selected.pipeline
    if pipeline.cron is None:
        raise RunError(
            f"pipeline {pipeline.id} has no cron schedule, so there are no intervals to backfill; name only files "
            "whose pipelines have one"
        )
    first, last = aware_date(start, pipeline.zone), aware_date(end, pipeline.zone)
    for number, moment in enumerate(fire_times(pipeline.cron, first, last, pipeline.zone, pipeline.fires), start=1):
        if number % _STEP == 0:
            stderr().print(
                f"planning pipeline {pipeline.id}: {number} runs, up to {moment:%Y-%m-%d}; Ctrl-C stops it",
                highlight=False,
            )
        yield moment


def _follow(backfills: Iterable[Iterable[Report]], output_format: str) -> list[Report]:
    """Show the runs of an orchestrator's own backfills as they end, and stop after one that did not succeed."""
    ended: list[Report] = []
    console = stdout_unless_json(output_format)
    with stoppable():
        for reports in backfills:
            for report in reports:
                summary(console, report)
                ended.append(report)
    if not all(report.succeeded for report in ended):
        if output_format == "json":
            emit("backfill", {"runs": [report_data(report) for report in ended]})
        sys.exit(1)
    return ended
