"""The command that finishes runs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ..errors import NothingFoundError
from ..model.run import TaskState
from ._command import command
from ._console import stdout, stdout_unless_json
from ._json import emit
from ._pages import report_option, reported
from ._parameters import json_format, parallelism_option, retry_unsafe_option, variables_option
from ._progress import choose_progress
from ._recorded_runs import plan_to_finish, recorded_runs
from ._running import run_and_exit
from ._selection import PipelineFiles, pipeline_files

__all__ = ["resume"]


@command
@pipeline_files
@click.option("--run", "run_id", metavar="ID", help="The run to finish; the latest that did not finish by default.")
@variables_option("A value for ${var:NAME}; values are not recorded.")
@parallelism_option("Number of tasks that may run at once.")
@retry_unsafe_option
@report_option
@json_format
def resume(
    files: PipelineFiles,
    run_id: str | None,
    variables: dict[str, str],
    parallelism: int | None,
    retry_unsafe: str | None,
    report: Path | None,
    output_format: str,
) -> None:
    """Finish runs that were killed, stopped or failed, without repeating tasks that succeeded.

    Runs that were requested together are resumed together, including those that had not started.
    """
    pipelines = files.load(columns=report is not None)
    reports = recorded_runs(pipelines, None)
    unfinished = [report for report in reports if report.state != TaskState.SUCCEEDED]
    if run_id is not None:
        unfinished = [report for report in unfinished if report.run_id == run_id]
    if not unfinished:
        known = any(report.run_id == run_id for report in reports)
        if run_id is not None and not known:
            ids = ", ".join(dict.fromkeys(pipeline.id for pipeline in pipelines))
            raise NothingFoundError(f"there is no run '{run_id}' of {ids}; see: starlake-orchestrate runs")
        if output_format == "json":
            emit("resume", {"runs": []})
            sys.exit(int(bool(files.faults)))
        stdout().print(
            f"nothing to resume: run {run_id} succeeded" if known else "nothing to resume: every recorded run succeeded"
        )
        sys.exit(int(bool(files.faults)))
    console = stdout_unless_json(output_format)
    planned = plan_to_finish(
        unfinished[0],
        pipelines,
        reports,
        console,
        variables=variables,
        parallelism=parallelism,
        retry_unsafe=retry_unsafe,
    )
    wanted = {item.request.run.run_id for item in planned}
    progress = reported(
        choose_progress(console),
        report,
        [item.pipeline for item in planned],
        [known for known in reports if known.run_id in wanted],
    )
    run_and_exit("resume", planned, progress, output_format, incomplete=bool(files.faults))
