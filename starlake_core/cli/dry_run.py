"""The command that shows what would be run."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click
from rich.text import Text

from ..model.run import Report, TaskState
from ..plain_text import plain
from ._command import command
from ._console import stderr, stdout
from ._findings import find_without_project
from ._json import emit, report_data
from ._parameters import json_format, scheduled_date_option
from ._selection import Selection, selection
from ._tree import tree

__all__ = ["dry_run"]


@command
@selection
@scheduled_date_option
@json_format
def dry_run(selection: Selection, scheduled_date: datetime | None, output_format: str) -> None:
    """Show the graph and all commands, ready to paste into a shell. Run nothing."""
    console = stdout()
    reports: list[Report] = []
    items = selection.load()
    for line in find_without_project([item.pipeline for item in items]):
        stderr().print(Text(plain(f"warning: {line}"), style="yellow"), soft_wrap=True)
    for item in items:
        report = item.pipeline.start_run(item.request_run(scheduled_date, dry_run=True))
        if output_format == "json":
            reports.append(report)
            continue
        console.print(tree(item.pipeline))
        for task in report.tasks:
            if task.reason and task.state == TaskState.DRY_RUN:
                click.echo(f"# {task.id}")
                click.echo(plain(task.reason))
    if output_format == "json":
        emit("dry-run", {"runs": [_with_commands(report) for report in reports]})


def _with_commands(report: Report) -> dict[str, Any]:
    """Return the data of a dry run, in which tasks have their command as ``shell`` instead of ``reason``."""
    data = report_data(report)
    for task in data["tasks"]:
        task["shell"] = task.pop("reason") if task["state"] == TaskState.DRY_RUN else ""
    return data
