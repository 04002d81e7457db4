"""The command that runs pipelines at their times and when their data is there."""

from __future__ import annotations

import sys
import time
from datetime import datetime, timezone

import click

from ..dsl.pipeline import StarlakePipeline
from ..model.run import Report, RunRequest, TaskState
from ..orchestrators.requests import request_run
from ._command import INTERRUPTED, command
from ._console import stdout
from ._parameters import parallelism_option, variables_option
from ._progress import choose_progress
from ._reloading import Reloading
from ._running import exit_code, stoppable
from ._selection import PipelineFiles, pipeline_files
from ._watching import Watch, seconds_to_wait

__all__ = ["watch"]


@command
@pipeline_files
@variables_option("A value for ${var:NAME}, for every run.")
@parallelism_option("Number of tasks that may run at once.")
@click.option(
    "--poll",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0.1),
    help="Seconds between two looks at the events of other processes.",
)
@click.option("--until-idle", is_flag=True, help="Exit when nothing is due, instead of waiting for what comes next.")
def watch(
    files: PipelineFiles, variables: dict[str, str], parallelism: int | None, poll: float, until_idle: bool
) -> None:
    """Run pipelines at the times of their schedules and when their data is there, in this process.

    Ctrl-C stops it, and the run of the moment with it. Started again, even after a kill, it finishes that run and
    continues. A run that failed is not repeated by itself; "resume" does it. Pipeline files that change are loaded
    again between two runs, and so are the files of a project whose own pipelines run; for other changes, start it again.
    """

    def request(pipeline: StarlakePipeline, date: datetime | None) -> RunRequest:
        return request_run(pipeline, date, variables=variables, parallelism=parallelism)

    progress = choose_progress(stdout())
    watching = Reloading(files, lambda pipelines: Watch(pipelines, progress, request), progress.note)
    reports: list[Report] = []
    with stoppable():
        while True:
            watched = watching.current()
            found = watched.step(datetime.now(timezone.utc))
            if any(report.state == TaskState.CANCELLED for report in found):
                sys.exit(INTERRUPTED)
            if found:
                reports = [*reports, *found] if until_idle else []
                continue  # they may have brought data for others
            if until_idle:
                sys.exit(exit_code(reports) or int(bool(files.faults)))
            now = datetime.now(timezone.utc)
            time.sleep(seconds_to_wait(now, watched.next_time(now), poll))
