"""The command that runs pipelines now, or for one scheduled date."""

from __future__ import annotations

from datetime import datetime

from ._command import command
from ._console import stdout_unless_json
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
@json_format
def run(
    selection: Selection,
    parallelism: int | None,
    scheduled_date: datetime | None,
    retry_unsafe: str | None,
    output_format: str,
) -> None:
    """Run pipelines, one after the other, and wait until they end.

    A pipeline that others feed runs after them, and only if they brought something new.
    """
    selected, group = selection.load(), new_group()
    planned = [
        PlannedRun(
            item.pipeline,
            item.request_run(scheduled_date, parallelism=parallelism, group=group, retry_unsafe=retry_unsafe),
        )
        for item in selected
    ]
    progress = choose_progress(stdout_unless_json(output_format))  # before anything is recorded
    announce(planned)
    run_and_exit("run", planned, progress, output_format)
