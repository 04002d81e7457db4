"""The command that runs pipelines now, or for one scheduled date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import click

from ..errors import RunError
from ..freshness import Event
from ..model.run import RunRequest
from ._command import command
from ._console import stdout_unless_json
from ._event_file import read_events
from ._pages import report_option, reported
from ._parameters import json_format, parallelism_option, retry_unsafe_option, scheduled_date_option
from ._progress import choose_progress
from ._running import PlannedRun, announce, new_group, run_and_exit
from ._selection import Selection, selection

__all__ = ["run"]


@command
@selection
@parallelism_option("Number of tasks that may run at once, if the orchestrator lets you decide.")
@scheduled_date_option
@retry_unsafe_option
@click.option(
    "--events",
    "events_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Record the events in a JSON file (docs/reference/events.md) first, and start pipelines by them.",
)
@report_option
@json_format
def run(
    selection: Selection,
    parallelism: int | None,
    scheduled_date: datetime | None,
    retry_unsafe: str | None,
    events_file: Path | None,
    report: Path | None,
    output_format: str,
) -> None:
    """Run pipelines, one after the other, and wait until they end.

    A pipeline that others feed runs after them, if its data is complete then; "explain" says what it waits for.
    """
    selected, group = selection.load(columns=report is not None), new_group()
    planned = [
        PlannedRun(
            item.pipeline,
            item.request_run(scheduled_date, parallelism=parallelism, group=group, retry_unsafe=retry_unsafe),
        )
        for item in selected
    ]
    pipelines = [item.pipeline for item in planned]
    if events_file is not None:
        events = read_events(events_file, pipelines, datetime.now(timezone.utc)).events
        planned = [replace(item, request=_with_events(item, events, group)) for item in planned]
    # Before anything is recorded.
    progress = reported(choose_progress(stdout_unless_json(output_format)), report, pipelines)
    announce(planned)
    run_and_exit("run", planned, progress, output_format, incomplete=bool(selection.files.faults))


def _with_events(item: PlannedRun, events: Sequence[Event], group: str) -> RunRequest:
    """Record events, and return the request of a pipeline, which its datasets start if there are any."""
    pipeline = item.pipeline
    if pipeline.trigger is None or not pipeline.trigger.datasets:
        return item.request
    if not pipeline.orchestration.plugins.record_events(pipeline, events, group):
        label = pipeline.orchestration.plugins.label("orchestrator")
        raise RunError(f"{label} does not record events that are given by hand; use its own user interface")
    return replace(item.request, triggered=True)
