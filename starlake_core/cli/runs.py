"""The command that lists recorded runs and deletes records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from ..dsl.pipeline import StarlakePipeline
from ..errors import NothingFoundError, RunError
from ..model.page import Page
from ..model.run import Report
from ..plain_text import plain_line
from ._command import command
from ._console import stdout
from ._json import emit, report_data
from ._pages import made_now, output_options, page_title, write_page
from ._progress import STYLES, count_states
from ._recorded_runs import recorded_runs
from ._selection import PipelineFiles, pipeline_files

__all__ = ["runs"]


@command
@pipeline_files
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="Maximum number of runs.")
@click.option(
    "--forget",
    multiple=True,
    metavar="ID",
    help="Delete the record of a run, for example one that can no longer be resumed.",
)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json", "html"]),
    default="text",
    show_default=True,
    help="Text, one JSON document for programs (docs/reference/json.md), or a page.",
)
@output_options
def runs(
    files: PipelineFiles,
    limit: int,
    forget: tuple[str, ...],
    output_format: str,
    output: Path | None,
    open_page: bool,
) -> None:
    """List the recorded runs, newest first."""
    if output_format != "html" and (output is not None or open_page):
        raise click.UsageError("--output and --open are for --format html; redirect the other formats with >")
    pipelines = files.load(columns=output_format == "html")
    if forget:
        _forget(pipelines, forget)
    reports = recorded_runs(pipelines, max(limit, 200))
    if output_format == "html":
        write_page(Page(pipelines, reports[:limit], page_title(pipelines), made_now()), output, open_page)
        return
    if output_format == "json":
        emit("runs", {"runs": [report_data(report) for report in reports[:limit]]})
        return
    table = Table("run", "pipeline", "state", "scheduled date", "started", "time", "tasks", "reason", box=None)
    for report in reports[:limit]:
        table.add_row(*_row(report))
    stdout().print(table if reports else "no runs yet")


def _row(report: Report) -> list[str | Text]:
    seconds = f"{(report.ended - report.started).total_seconds():.1f} s" if report.ended and report.started else ""
    return [
        Text(plain_line(report.run_id)),
        Text(plain_line(report.pipeline_id)),
        Text(report.state, style=STYLES.get(report.state, "")),
        report.interval.end.isoformat(timespec="minutes") if report.interval else "",
        report.started.astimezone().strftime("%Y-%m-%d %H:%M:%S") if report.started else "",
        seconds,
        count_states(report),
        Text(plain_line(report.reason)),
    ]


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
